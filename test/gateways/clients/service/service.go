// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package service stands in for a Kubernetes Service: one address before several
// endpoints, of which only those that are ready get new connections. It does what
// kube-proxy does and no more: a connection, once made, stays where it is, and no byte
// of it is looked at.
package service

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// probeInterval is how often each endpoint's readiness is asked for. A kubelet does that
// less often, which is what the drain delay is for.
const probeInterval = 50 * time.Millisecond

// Endpoint is one program behind the Service.
type Endpoint struct {
	// Address of the program.
	Address string
	// Readyz is the URL that answers 200 while it is ready. Without one it always is.
	Readyz string
}

// Service is one address. Start makes it, Close ends it.
type Service struct {
	listener  net.Listener
	endpoints []Endpoint
	cancel    context.CancelFunc
	running   sync.WaitGroup

	mu    sync.Mutex
	ready []bool
	next  int
	open  map[net.Conn]bool
	// refused counts connections that found no endpoint ready.
	refused int
	changed chan struct{}
}

// Start listens on a free port of loopback. With a TLS configuration it ends TLS, as a
// load balancer before a gateway may.
func Start(ctx context.Context, secure *tls.Config, endpoints ...Endpoint) (*Service, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a service: %w", err)
	}
	if secure != nil {
		listener = tls.NewListener(listener, secure)
	}
	s := &Service{
		listener: listener, endpoints: endpoints, ready: make([]bool, len(endpoints)),
		open: map[net.Conn]bool{}, changed: make(chan struct{}),
	}
	// It ends with Close, not with what bounds the start.
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for i, endpoint := range endpoints {
		if endpoint.Readyz == "" {
			s.ready[i] = true
			continue
		}
		s.running.Go(func() { s.probe(ctx, i) })
	}
	s.running.Go(func() { s.accept(ctx) })
	return s, nil
}

// Address is where the Service is reached.
func (s *Service) Address() string { return s.listener.Addr().String() }

// Close ends every connection.
func (s *Service) Close() {
	s.cancel()
	_ = s.listener.Close()
	s.mu.Lock()
	for conn := range s.open {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// AwaitReady waits until so many endpoints are ready, as the Service knows it.
func (s *Service) AwaitReady(ctx context.Context, count int) error {
	return s.await(ctx, fmt.Sprintf("%d ready endpoints", count), func() bool {
		sum := 0
		for _, ready := range s.ready {
			if ready {
				sum++
			}
		}
		return sum == count
	})
}

// Refused is how many connections were refused because no endpoint was ready.
func (s *Service) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// AwaitRefused waits until more than so many connections were refused.
func (s *Service) AwaitRefused(ctx context.Context, count int) error {
	return s.await(ctx, "a refused connection", func() bool { return s.refused > count })
}

func (s *Service) await(ctx context.Context, what string, condition func() bool) error {
	for {
		s.mu.Lock()
		met, changed := condition(), s.changed
		s.mu.Unlock()
		if met {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		}
	}
}

// probe asks one endpoint for its readiness, over and over.
func (s *Service) probe(ctx context.Context, i int) {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for {
		ready := isReady(ctx, client, s.endpoints[i].Readyz)
		s.mu.Lock()
		if s.ready[i] != ready {
			s.ready[i] = ready
			s.announce()
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func isReady(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (s *Service) accept(ctx context.Context) {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		s.running.Go(func() { s.carry(ctx, conn) })
	}
}

// carry connects a client with an endpoint, until one of them has enough.
func (s *Service) carry(ctx context.Context, client net.Conn) {
	defer client.Close()
	address, ok := s.choose()
	if !ok {
		return
	}
	program, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer program.Close()
	if !s.hold(ctx, client, program) {
		return
	}
	defer s.release(client, program)
	var sending sync.WaitGroup
	sending.Go(func() { pipe(program, client) })
	pipe(client, program)
	sending.Wait()
}

// pipe copies one direction, and passes its end on.
func pipe(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		_ = half.CloseWrite()
		return
	}
	_ = to.Close()
	_ = from.Close()
}

// choose takes the ready endpoints in turn.
func (s *Service) choose() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range s.endpoints {
		s.next = (s.next + 1) % len(s.endpoints)
		if s.ready[s.next] {
			return s.endpoints[s.next].Address, true
		}
	}
	s.refused++
	s.announce()
	return "", false
}

// hold notes open connections for Close, and reports false if that was called already.
func (s *Service) hold(ctx context.Context, conns ...net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	for _, conn := range conns {
		s.open[conn] = true
	}
	return true
}

func (s *Service) release(conns ...net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range conns {
		delete(s.open, conn)
	}
}

// announce wakes up who waits. s.mu is held.
func (s *Service) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}
