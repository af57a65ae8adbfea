// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package abuse holds what it can of the auth server: the real listeners, with the bounds
// that the program has by default, in a process of their own, over loopback. Its keys are
// made up, so that no API server is needed.
//
// Each kind of abuse is done beside valid requests to the server that they go to and, where
// they take much longer then, to a twin, which takes the machine as much work. What the
// server suffers is the difference; a machine that is busy anyway slows both.
//
// Every loop here is bounded, and ends by itself. Nothing leaves loopback.
package abuse

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"
)

const (
	// mostRatio is how many times as long valid requests may take as in peace or, where that
	// is more, as beside the same abuse of a twin. On a machine with other work each process has a share, and here valid requests
	// share one with the abuse. A server that starves them is far beyond, or refuses them.
	mostRatio = 30
	// windows are how often that is measured before it counts: what else the machine does
	// falls into one, and a server that starves valid requests does so in each.
	windows = 3
	// lasts is how long each is measured.
	lasts = 500 * time.Millisecond
	// fillTimeout is how long an attacker has to send what is to be held.
	fillTimeout = 5 * time.Second
	// recoveryTimeout is a limit of this test, not a measure.
	recoveryTimeout = 30 * time.Second
	// leftovers are descriptors that come and go by themselves, besides the connections to
	// the upstream that are kept, each with two goroutines.
	leftovers    = 25
	keptUpstream = 256
)

// attacks are all kinds. Numbers of connections are beyond the bounds of the listener.
func attacks() []attack {
	const many, few = 2200, 8
	// most leaves room below the memory limit for what the indexes hold.
	const most = 250
	unary := []string{"content-type", "application/grpc", "te", "trailers"}
	return []attack{
		{name: "6,000 bodies that are declared and not sent", growth: 150, answers: 400, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 6000, a.Proxy, a.holds(a.post("Content-Length: 100000\r\n")))
		}},
		{name: "6,000 such bodies at the listener for gateways", growth: 150, answers: 2000, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 6000, a.Gateways, a.holds(a.post("Content-Length: 100000\r\n")))
		}},
		{name: "6,000 such bodies at the port for operations", growth: 100, answers: 50, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 6000, a.Operations, a.holds("GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"))
		}},
		{name: "6,000 such bodies with a key", growth: 200, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 6000, a.Proxy, a.holds(a.post(a.withKey()+"Content-Length: 100000\r\n")))
		}},
		{name: "bodies that drip", growth: 200, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, many, a.Proxy, drips(a.post(a.withKey()+"Content-Length: 100000\r\n"), 300*time.Millisecond))
		}},
		{name: "headers that drip", growth: 100, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, many, a.Proxy, drips("POST / HTTP/1.1\r\nHost: a\r\nX-A: ", 300*time.Millisecond))
		}},
		{name: "connections that say nothing", growth: 100, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, many, a.Proxy, a.holds(""))
		}},
		{name: "idle connections, more than gateways may have", growth: 150, answers: 2000, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 5000, a.Gateways, a.holds("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
		}},
		{name: "responses that nobody reads", growth: 100, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 50, a.Proxy, unread("GET "+endless+" HTTP/1.1\r\nHost: a\r\n"+a.withKey()+"\r\n"))
		}},
		{name: "HTTP/2 rapid reset", growth: 100, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, few, a.Proxy, frames(1000, false, rapidReset(ingest)))
		}},
		{name: "HTTP/2 rapid reset with a key", growth: 100, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, few, a.Proxy, frames(1000, false, rapidReset(ingest, "x-api-key", a.abused)))
		}},
		{name: "HTTP/2 streams that do not end", growth: 100, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, few, a.Proxy, frames(1000, false, streams(ingest, "x-api-key", a.abused)))
		}},
		{name: "HTTP/2 CONTINUATION", growth: 100, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, few, a.Proxy, frames(2000, false, continuations(ingest)))
		}},
		{name: "HTTP/2 PING, answers unread", growth: 100, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, few, a.Proxy, frames(200_000, true, pings))
		}},
		{name: "HTTP/2 SETTINGS, answers unread", growth: 100, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, few, a.Proxy, frames(200_000, true, settings))
		}},
		{name: "gRPC rapid reset", growth: 100, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, few, a.GRPC, frames(1000, false, rapidReset(check, unary...)))
		}},
		{name: "gRPC questions that do not come", growth: 150, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, few, a.GRPC, frames(1000, false, streams(check, unary...)))
		}},
		{name: "gRPC watches", growth: 150, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, few, a.GRPC, frames(1000, false, watches))
		}},
		{name: "gRPC CONTINUATION", growth: 100, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, few, a.GRPC, frames(2000, false, continuations(check)))
		}},
		{name: "gRPC PING, answers unread", growth: 100, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, few, a.GRPC, frames(200_000, true, pings))
		}},
		{name: "headers of tiny fields that do not end", growth: 150, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 700, a.Gateways, a.holds(tiny(15<<10)))
		}},
		{name: "headers of tiny fields, and bodies that do not come", growth: 150, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 500, a.Proxy, a.holds(tiny(15<<10)+"Content-Length: 9\r\n\r\n"))
		}},
		{name: "HTTP/2 answers that nobody reads, with bodies that do not end", growth: most, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 1500, a.Proxy, unfinished{streams: 100, path: ingest, body: 60 << 10 / 100, piece: 1 << 10, deaf: true}.hold)
		}},
		{name: "the same after one that was read", growth: most, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 1500, a.Proxy, unfinished{streams: 30, path: ingest, body: 60 << 10 / 30, piece: 1 << 10, deaf: true, polite: true}.hold)
		}},
		{name: "the same with a key", growth: most, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 600, a.Proxy, unfinished{streams: 100, path: ingest, headers: []string{"x-api-key", a.abused}, body: 60 << 10 / 100, piece: 1 << 10, deaf: true}.hold)
		}},
		{name: "the same with many fields", growth: most, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 600, a.Proxy, unfinished{streams: 100, path: ingest, headers: tinyFields(400), deaf: true}.hold)
		}},
		{name: "HTTP/2 headers that are too long, whose refusals nobody reads", growth: most, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 600, a.Proxy, unfinished{streams: 100, path: ingest, headers: tinyFields(500), deaf: true}.hold)
		}},
		{name: "HTTP/2 streams that are reset beside others that are held", growth: most, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 100, a.Proxy, resets(100, 390, ingest, tinyFields(400)))
		}},
		{name: "gRPC questions of which half comes", growth: most, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 200, a.GRPC, unfinished{streams: 100, path: check, headers: unary, prefix: announce(131_000), body: 64 << 10, piece: 16 << 10}.hold)
		}},
		{name: "gRPC questions of which half comes, on many connections", growth: most, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 1500, a.GRPC, unfinished{streams: 4, path: check, headers: unary, prefix: announce(131_000), body: 100 << 10, piece: 16 << 10}.hold)
		}},
		{name: "gRPC questions in pieces of a byte", growth: most, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 50, a.GRPC, unfinished{streams: 100, path: check, headers: unary, prefix: announce(131_000), body: 64 << 10, piece: 1}.hold)
		}},
		{name: "gRPC watches of which half comes", growth: most, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 100, a.GRPC, unfinished{streams: 10, path: "/grpc.health.v1.Health/Watch", headers: unary, prefix: announce(131_000), body: 100 << 10, piece: 16 << 10}.hold)
		}},
		{name: "gRPC answers that nobody reads", growth: most, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 600, a.GRPC, unfinished{streams: 100, path: check, headers: unary, prefix: announce(0), deaf: true}.hold)
		}},
		{name: "HTTP/2 PING on many connections, answers unread", growth: most, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, 900, a.Proxy, frames(20_000, true, pings))
		}},
		{name: "several of these at once, at each listener", growth: 400, floods: true, run: func(ctx context.Context, a *attacker) {
			var at sync.WaitGroup
			parts := &attacker{server: a.server, up: at.Done}
			at.Add(4)
			a.filling.Go(func() {
				at.Wait()
				a.up()
				parts.filling.Wait()
			})
			running := &sync.WaitGroup{}
			running.Go(func() { parts.each(ctx, 1000, a.Gateways, a.holds(tiny(15<<10))) })
			running.Go(func() {
				parts.each(ctx, 400, a.Proxy, unfinished{streams: 100, path: ingest, body: 60 << 10 / 100, piece: 1 << 10, deaf: true}.hold)
			})
			running.Go(func() {
				parts.each(ctx, 400, a.Proxy, unfinished{streams: 100, path: ingest, headers: []string{"x-api-key", a.abused}, body: 60 << 10 / 100, piece: 1 << 10, deaf: true}.hold)
			})
			running.Go(func() {
				parts.each(ctx, 1000, a.GRPC, unfinished{streams: 4, path: check, headers: unary, prefix: announce(131_000), body: 100 << 10, piece: 16 << 10}.hold)
			})
			running.Wait()
		}},
		{name: "gRPC connections that say nothing", growth: 150, run: func(ctx context.Context, a *attacker) {
			a.each(ctx, many, a.GRPC, a.holds(""))
		}},
	}
}

// announce begins a gRPC message.
func announce(size uint32) []byte { return binary.BigEndian.AppendUint32([]byte{0}, size) }

// watches has the health service watch an empty name.
func watches(h *h2) error {
	if err := h.open(false, "/grpc.health.v1.Health/Watch", "content-type", "application/grpc", "te", "trailers"); err != nil {
		return err
	}
	if err := h.WriteData(h.stream, true, make([]byte, 5)); err != nil {
		return err
	}
	return h.buffered.Flush()
}

func TestNobodyHoldsTheServer(t *testing.T) {
	behind := upstream(t)
	twin := startServer(t, behind)
	for _, kind := range attacks() {
		t.Run(kind.name, func(t *testing.T) {
			victim := startServer(t, behind)
			requests := newValid(t, victim)
			requests.measure(t, lasts) // to warm up
			quiet := requests.measure(t, lasts)
			before := victim.holdings(t)
			var (
				most            int
				done            *attacker
				here, elsewhere time.Duration
			)
			for range windows {
				here = beside(t, kind, victim, requests, func(a *attacker) {
					most = max(most, victim.holdings(t).resident)
					done = a
				})
				elsewhere = quiet
				if kind.floods || here <= mostRatio*elsewhere || t.Failed() {
					break
				}
				elsewhere = max(quiet, beside(t, kind, twin, requests, nil))
				if here <= mostRatio*elsewhere || t.Failed() {
					break
				}
			}
			t.Logf("p99 %s, in peace %s, compared with %s; %d MB, %d before; %d answers, %d ended",
				here.Round(10*time.Microsecond), quiet.Round(10*time.Microsecond), elsewhere.Round(10*time.Microsecond), most>>20, before.resident>>20, done.answered.Load(), done.ended.Load())
			if here > mostRatio*elsewhere && !kind.floods {
				t.Errorf("valid requests took %s at the 99th percentile, and beside the same abuse of a twin %s", here, elsewhere)
			}
			if growth := (most - before.resident) >> 20; growth > kind.growth {
				t.Errorf("the server has grown by %d MB, more than %d", growth, kind.growth)
			}
			if done.answered.Load() < kind.answers {
				t.Errorf("%d answers, fewer than %d", done.answered.Load(), kind.answers)
			}
			recovers(t, victim, before)
		})
	}
}

// beside measures valid requests while a server is abused. look is called at the end, while
// what is held is still held.
func beside(t *testing.T, kind attack, abused *server, requests *valid, look func(*attacker)) time.Duration {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), recoveryTimeout)
	defer stop()
	up, ended := make(chan struct{}), make(chan struct{})
	a := &attacker{server: abused, up: func() { close(up) }}
	go func() {
		defer close(ended)
		kind.run(ctx, a)
	}()
	<-up
	p99 := requests.measure(t, lasts)
	if look != nil {
		full := make(chan struct{})
		go func() { defer close(full); a.filling.Wait() }()
		select {
		case <-full:
		case <-time.After(fillTimeout): // it is held up by the server
		}
		look(a)
	}
	stop()
	<-ended
	return p99
}

// recovers waits until the server holds no more than before.
func recovers(t *testing.T, s *server, before holdings) {
	t.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(recoveryTimeout)
	for {
		now := s.holdings(t)
		if now.connections <= before.connections+leftovers && now.goroutines <= before.goroutines+2*keptUpstream+leftovers && now.descriptors <= before.descriptors+keptUpstream+leftovers {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s after, the server has %s, and had %s", recoveryTimeout, now, before)
			return
		}
		<-ticker.C
	}
}

func (h holdings) String() string {
	return fmt.Sprintf("%d connections, %d goroutines and %d descriptors", h.connections, h.goroutines, h.descriptors)
}
