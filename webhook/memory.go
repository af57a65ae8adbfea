// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

const (
	// unansweredBytes is what requests that were neither answered nor let in may take at one
	// listener. Valid ones are decided in microseconds, and take a fraction of it.
	unansweredBytes = 48 << 20
	// operationsBytes is the same for operations.
	operationsBytes = 16 << 20
	// http1Bytes and http2Bytes are what a connection takes by itself, and forwardedBytes a
	// request that was let in: 22 and 31 KB were measured of idle ones, and up to
	// 70 KB of a request that waits for its body; and a body that the upstream does not take.
	http1Bytes, http2Bytes, forwardedBytes = 25 << 10, 45 << 10, 100<<10 + proxyWindowBytes
)

// ClientMemory is about how many bytes clients can have a Server take, whatever they do, with
// these of Config.
func ClientMemory(maxConnections, maxRequests int) int64 {
	const gateways, others = 1, 2 // listeners
	connections := int64(maxConnections) * (gateways*http1Bytes + others*http2Bytes)
	return connections + (gateways+others)*unansweredBytes + operationsBytes + int64(maxRequests)*forwardedBytes
}
