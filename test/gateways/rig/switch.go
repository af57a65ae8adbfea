// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// Switch stands where gateways look for the auth server. It passes bytes on,
// untouched, until a test has it do something else.
type Switch struct {
	// Address is its host:port, always the same.
	Address string

	t testing.TB

	mu       sync.Mutex
	listener net.Listener
	// target is where connections go; empty to take them and never say a word.
	target string
	conns  map[net.Conn]bool
	work   sync.WaitGroup
}

// NewSwitch returns one that leads to the target, until the test ends.
func NewSwitch(t testing.TB, target string) *Switch {
	t.Helper()
	s := &Switch{t: t, conns: map[net.Conn]bool{}}
	listener := Listen(t)
	s.Address = listener.Addr().String()
	s.serve(listener, target)
	t.Cleanup(func() {
		s.Vanish()
		s.work.Wait()
	})
	return s
}

// Lead has the Switch lead to the target from now on. Connections that stand are cut.
func (s *Switch) Lead(target string) {
	s.t.Helper()
	s.Vanish()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", s.Address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.serve(listener, target)
}

// Hang takes connections, and never says a word.
func (s *Switch) Hang() {
	s.t.Helper()
	s.Lead("")
}

// Vanish refuses connections, and cuts those that stand.
func (s *Switch) Vanish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
	}
	for conn := range s.conns {
		conn.Close()
	}
}

func (s *Switch) serve(listener net.Listener, target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener, s.target = listener, target
	s.work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if s.keep(listener, conn) {
				s.work.Go(func() { s.pass(conn, target) })
			}
		}
	})
}

// keep remembers a connection, unless the listener that it came by is no more.
func (s *Switch) keep(listener net.Listener, conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != listener {
		conn.Close()
		return false
	}
	s.conns[conn] = true
	return true
}

func (s *Switch) forget(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// pass copies in both directions until one end closes.
func (s *Switch) pass(conn net.Conn, target string) {
	defer s.forget(conn)
	if target == "" {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	next, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", target)
	if err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(next, conn); next.Close() })
	both.Go(func() { _, _ = io.Copy(conn, next); conn.Close() })
	both.Wait()
}
