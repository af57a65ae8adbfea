// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"context"
	"net"
	"testing"
	"time"
)

// endTimeout is a limit of this test, not a measure: the longest bound is that of a gRPC
// question, 10 s, and so many PINGs keep a processor busy for some, too.
const endTimeout = 3 * time.Minute

// manyPings are more than the buffers of the kernel have answers for.
const manyPings = 3_000_000

// What is held is let go of by the server, whatever the client goes on to do.
func TestTheServerEndsWhatIsHeld(t *testing.T) {
	s := startServer(t, upstream(t))
	a := &attacker{server: s}
	// few is for connections that each keep a processor busy for seconds.
	const count, few = 10, 2
	unary := []string{"content-type", "application/grpc", "te", "trailers"}
	type holder = func(context.Context, net.Conn)
	ended := make(chan string, 100)
	holders := map[string]struct {
		address string
		hold    holder
		count   int
		answers int64
	}{
		"a body, without a key":           {s.Proxy, a.holds(a.post("Content-Length: 9\r\n")), count, count},
		"a body in chunks":                {s.Proxy, a.holds(a.post("Transfer-Encoding: chunked\r\n")), count, count},
		"a body, with a key":              {s.Proxy, a.holds(a.post(a.withKey() + "Content-Length: 9\r\n")), count, count},
		"a body that waits to be asked":   {s.Proxy, a.holds(a.post("Expect: 100-continue\r\nContent-Length: 9\r\n")), count, count},
		"a body, at the port of gateways": {s.Gateways, a.holds("GET /auth/original HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"), count, count},
		"a body, at that of operations":   {s.Operations, a.holds("GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"), count, count},
		"a header":                        {s.Proxy, drips("POST / HTTP/1.1\r\nX-A: ", time.Second), count, 0},
		"silence":                         {s.Proxy, a.holds(""), count, 0},
		"a response":                      {s.Proxy, unread("GET " + endless + " HTTP/1.1\r\nHost: a\r\n" + a.withKey() + "\r\n"), count, 0},
		"a body, over HTTP/2":             {s.Proxy, a.resets(streams(ingest, "x-api-key", s.abused)), count, 0},
		"a question, over gRPC":           {s.GRPC, a.resets(streams(check, unary...)), count, 0},
		"silence, at the port of gRPC":    {s.GRPC, a.holds(""), count, 0},
		"a header that does not end":      {s.Proxy, frames(2000, false, continuations(ingest)), count, 0},
		"such a header, at that of gRPC":  {s.GRPC, frames(2000, false, continuations(check)), count, 0},
		"PINGs, whose answers are unread": {s.Proxy, frames(manyPings, true, pings), few, 0},
		"PINGs, at the port of gRPC":      {s.GRPC, frames(manyPings, true, pings), few, 0},
	}
	for name, holder := range holders {
		go func() {
			one := &attacker{server: s, up: func() {}}
			ctx, cancel := context.WithTimeout(t.Context(), endTimeout)
			defer cancel()
			one.each(ctx, holder.count, holder.address, holder.hold)
			if n := int(one.ended.Load()); n != holder.count {
				t.Errorf("%s: %d of %d were ended", name, n, holder.count)
			}
			ended <- name
		}()
	}
	began := time.Now()
	for range holders {
		t.Logf("%s: ended after %s", <-ended, time.Since(began).Round(100*time.Millisecond))
	}
	var answers int64
	for _, holder := range holders {
		answers += holder.answers
	}
	if got := a.answered.Load(); got < answers {
		t.Errorf("%d answers, fewer than %d", got, answers)
	}
}

// resets holds a stream until the server ends it.
func (a *attacker) resets(open func(*h2) error) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		h, err := speak(c)
		if err != nil || open(h) != nil {
			return
		}
		for ctx.Err() == nil {
			frame, err := h.ReadFrame()
			if err != nil || frame.Header().StreamID == 1 {
				return
			}
		}
	}
}
