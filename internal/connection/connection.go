// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connection is how the programs reach the API server: a connection that
// brings nothing any more is given up on within seconds.
//
// Without it a program that was cut off notices late that the network is back. What
// was sent is repeated after pauses that double, up to two minutes (RFC 6298, section
// 5.5), and so is a new connection's first packet; client-go looks after a connection
// by HTTP/2 pings, but only after 45 seconds.
package connection

import (
	"context"
	"net"
	"time"

	"k8s.io/client-go/rest"
)

const (
	// dialTimeout leaves time for one packet and its answer: the second would come
	// after a second (RFC 6298, section 2.1), as soon as a new attempt.
	dialTimeout = time.Second
	// userTimeout is for how long what was sent may stay without an acknowledgement
	// (RFC 5482).
	userTimeout = 5 * time.Second
)

// Harden has clients that are made from config give up on connections that hang.
func Harden(config *rest.Config) {
	config.Dial = dial
}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAlive: userTimeout, Control: setUserTimeout}
	return dialer.DialContext(ctx, network, address)
}
