// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexcovery/apikey-operator/hack/stack"
	"github.com/hexcovery/apikey-operator/test/faults/oracle"
)

const (
	// askers is how many connections ask one auth server as long as it answers.
	askers = 2
	// askEvery is the time between two requests of one connection: with all of them
	// each auth server is asked once a millisecond.
	askEvery = askers * time.Millisecond
	// overdue is when an answer takes so long that another connection goes on.
	overdue = 150 * time.Millisecond
	// mostAskers bounds how many requests wait for an auth server that is frozen. All
	// of them are answered when it goes on, at once: that is when it has to know that
	// its time is over. Every second asker gives up after shortPatience and asks anew,
	// so that there are always some that were sent lately.
	mostAskers    = 32
	shortPatience = 1500 * time.Millisecond
	longPatience  = 20 * time.Second
)

// prober asks one auth server about every key, over and over. Its connections are
// cheap: see stack.Probe.
type prober struct {
	replica, address string
	ring             *keyring
	ledger           *oracle.Ledger
	// more is how many more askers there may be, for a program that is slow on purpose.
	more int

	running sync.WaitGroup
	all     atomic.Int64
	waiting atomic.Int64
	next    atomic.Uint64
}

// requestFor is what a gateway asks about a request with this key.
func requestFor(key []byte) []byte {
	return fmt.Appendf(nil, "GET /auth/original HTTP/1.1\r\nHost: gateway\r\nX-Original-Method: POST\r\nX-Original-Uri: /api/v1/dsl\r\nX-Api-Key: %s\r\n\r\n", key)
}

// run asks until ctx is done.
func (p *prober) run(ctx context.Context) {
	ticker := time.NewTicker(overdue / 3)
	defer ticker.Stop()
	for started := 0; ctx.Err() == nil; {
		for p.all.Load()-p.waiting.Load() < int64(askers+p.more) && p.all.Load() < mostAskers {
			p.all.Add(1)
			patience := longPatience
			if started++; started%2 == 0 {
				patience = shortPatience
			}
			p.running.Go(func() {
				defer p.all.Add(-1)
				p.ask(ctx, patience)
			})
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	p.running.Wait()
}

// ask asks over one connection after the other, until an answer was overdue: others
// go on by then.
func (p *prober) ask(ctx context.Context, patience time.Duration) {
	due := time.NewTicker(askEvery)
	defer due.Stop()
	var connection net.Conn
	var answers *bufio.Reader
	disconnect := func() {}
	defer func() { disconnect() }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-due.C:
		}
		asked := *p.ring.asked.Load()
		if len(asked) == 0 {
			continue
		}
		s := asked[p.next.Add(1)%uint64(len(asked))]
		sent := time.Now()
		if connection == nil {
			opened, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", p.address)
			if err != nil {
				p.judge(ctx, s, sent, oracle.NoAnswer)
				continue
			}
			forget := context.AfterFunc(ctx, func() { _ = opened.Close() })
			disconnect = func() { forget(); _ = opened.Close() }
			connection, answers = opened, bufio.NewReader(opened)
		}
		_ = connection.SetDeadline(sent.Add(patience))
		status, err := p.exchange(connection, answers, *s.request.Load())
		if err != nil {
			disconnect()
			connection, status = nil, oracle.NoAnswer
		}
		if p.judge(ctx, s, sent, status) > overdue {
			return
		}
	}
}

// judge notes an answer, and returns how long it took.
func (p *prober) judge(ctx context.Context, s *subject, sent time.Time, status int) time.Duration {
	received := time.Now()
	if ctx.Err() == nil {
		p.ledger.Judge(&s.Key, oracle.Answer{Replica: p.replica, Sent: sent, Received: received, Status: status})
	}
	return received.Sub(sent)
}

// exchange is exchange, and counts who waits for long, so that others go on.
func (p *prober) exchange(connection io.Writer, answers *bufio.Reader, request []byte) (int, error) {
	late := time.AfterFunc(overdue, func() { p.waiting.Add(1) })
	defer func() {
		if !late.Stop() {
			p.waiting.Add(-1)
		}
	}()
	return exchange(connection, answers, request)
}

// exchange sends one request, and returns the status of its answer.
func exchange(connection io.Writer, answers *bufio.Reader, request []byte) (int, error) {
	if _, err := connection.Write(request); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(answers, nil)
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// host is the address in a URL.
func host(url string) string { return strings.TrimPrefix(url, "http://") }

// askOnce asks an auth server about a key, over a connection for that.
func (w *world) askOnce(ctx context.Context, server *stack.AuthServer, s *subject) int {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	sent := time.Now()
	status := oracle.NoAnswer
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", host(server.Gateways))
	if err == nil {
		defer context.AfterFunc(ctx, func() { _ = connection.Close() })()
		defer connection.Close()
		if status, err = exchange(connection, bufio.NewReader(connection), *s.request.Load()); err != nil {
			status = oracle.NoAnswer
		}
	}
	w.ledger.Judge(&s.Key, oracle.Answer{Replica: server.Name, Sent: sent, Received: time.Now(), Status: status})
	return status
}
