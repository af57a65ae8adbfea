// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

const (
	// unansweredBytes is what requests that were neither answered nor let in may take at one
	// listener. Valid ones are decided in microseconds, and take a fraction of it.
	unansweredBytes = 48 << 20
	// operationsBytes is the same for operations.
	operationsBytes = 16 << 20
	// connectionBytes is what a connection takes by itself, on HTTP/1.1 and on HTTP/2, and
	// forwardedBytes a request that was let in: what was measured, and some more.
	http1Bytes, http2Bytes, forwardedBytes = 20 << 10, 45 << 10, 100 << 10
)

// ClientMemory is about how many bytes clients can have a Server take, whatever they do, with
// these of Config.
func ClientMemory(maxConnections, maxRequests int) int64 {
	const gateways, others = 1, 2 // listeners
	connections := int64(maxConnections) * (gateways*http1Bytes + others*http2Bytes)
	return connections + (gateways+others)*unansweredBytes + operationsBytes + int64(maxRequests)*forwardedBytes
}
