// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"connectrpc.com/connect"
)

// Usage hands over what was counted of the use of keys. *serve.Server does.
type Usage interface {
	// Run answers the manager until ctx is done. That it cannot is no reason to stop
	// serving, so it returns nothing.
	Run(ctx context.Context)
	// HandOver is called when the last request was answered. It waits, for a bounded
	// time, until the manager has taken what was counted.
	HandOver(ctx context.Context)
}

// count counts a request if its key is good, whatever the answer is. It comes before the
// answer, so that no answered request is missing.
func (e *endpointMetrics) count(d *decision, at time.Time, r *http.Request) {
	d.counter.Count(at)
	if d.counter.Watched() {
		// The connection's other end, which no header can name.
		gateway, _ := netip.ParseAddrPort(r.RemoteAddr)
		d.counter.CountFrom(e.name, gateway.Addr())
	}
}

// countCall is count for a question over gRPC.
func (e *endpointMetrics) countCall(ctx context.Context, d *decision, at time.Time) {
	d.counter.Count(at)
	if d.counter.Watched() {
		var gateway netip.AddrPort
		if call, ok := connect.CallInfoForHandlerContext(ctx); ok {
			gateway, _ = netip.ParseAddrPort(call.Peer().Addr)
		}
		d.counter.CountFrom(e.name, gateway.Addr())
	}
}
