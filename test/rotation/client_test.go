// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexcovery/apikey-operator/hack/stack"
)

// tally is what became of requests.
type tally struct {
	sent, accepted, unauthorized, other atomic.Int64
	mu                                  sync.Mutex
	// first are the first answers that were no acceptance.
	first []string
}

func (t *tally) count(client string, status int, err error) {
	t.sent.Add(1)
	switch {
	case err == nil && status == http.StatusOK:
		t.accepted.Add(1)
		return
	case err == nil && status == http.StatusUnauthorized:
		t.unauthorized.Add(1)
	default:
		t.other.Add(1)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.first) < 10 {
		text := client + ": " + http.StatusText(status)
		if err != nil {
			text = client + ": " + err.Error()
		}
		t.first = append(t.first, text)
	}
}

// load sends the requests of many clients.
type load struct {
	servers []*stack.AuthServer
	http    *http.Client
	tally   *tally
	// every is the time between two requests of one client.
	every time.Duration
	next  atomic.Int64
}

func newLoad(servers []*stack.AuthServer, every time.Duration) *load {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 256
	return &load{servers: servers, http: &http.Client{Transport: transport, Timeout: 10 * time.Second}, tally: &tally{}, every: every}
}

// client sends a request with what key returns, again and again, until ctx is done.
func (l *load) client(ctx context.Context, name string, key func() string) {
	ticks := time.NewTicker(l.every)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			status, err := l.ask(name, l.server(), key())
			l.tally.count(name, status, err)
		}
	}
}

// server is one after the other.
func (l *load) server() *stack.AuthServer {
	return l.servers[int(l.next.Add(1))%len(l.servers)]
}

// ask asks one auth server about a request, to its end: a client that is stopped
// finishes what it has begun.
func (l *load) ask(_ string, server *stack.AuthServer, key string) (status int, err error) {
	request, err := server.Question(context.Background(), http.MethodPost, "/api/v1/dsl", key)
	if err != nil {
		return 0, err
	}
	response, err := l.http.Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode, err
}
