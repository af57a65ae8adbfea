// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
)

// Switch stands where gateways look for the auth server. It passes bytes on,
// untouched, until a test has it do something else.
type Switch struct {
	// Address is its host:port, always the same.
	Address string

	t testing.TB

	mu sync.Mutex
	// listener is nil while nobody is to be there.
	listener net.Listener
	// held is a socket that has the port meanwhile.
	held *int
	// target is where connections go; empty to take them and never say a word.
	target string
	conns  map[net.Conn]bool
	work   sync.WaitGroup
}

// NewSwitch returns one that leads to the target, until the test ends.
func NewSwitch(t testing.TB, target string) *Switch {
	t.Helper()
	listener := Listen(t)
	s := &Switch{Address: listener.Addr().String(), t: t, target: target, conns: map[net.Conn]bool{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve(listener)
	t.Cleanup(s.end)
	return s
}

// Lead has the Switch lead to the target from now on. Connections that stand are cut.
func (s *Switch) Lead(target string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut()
	s.target = target
	if s.listener != nil {
		return
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", s.Address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.release()
	s.serve(listener)
}

// Hang takes connections, and never says a word.
func (s *Switch) Hang() {
	s.t.Helper()
	s.Lead("")
}

// Vanish refuses connections, and cuts those that stand.
func (s *Switch) Vanish() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
		if err := s.hold(); err != nil {
			s.t.Fatal(err)
		}
	}
	s.cut()
}

// end leaves nothing behind.
func (s *Switch) end() {
	s.mu.Lock()
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
	}
	s.release()
	s.cut()
	s.mu.Unlock()
	s.work.Wait()
}

func (s *Switch) cut() {
	for conn := range s.conns {
		conn.Close()
	}
}

// hold keeps the port from being anybody else's: a socket that is bound, and does not
// listen, refuses connections.
func (s *Switch) hold() error {
	address, err := net.ResolveTCPAddr("tcp4", s.Address)
	if err != nil {
		return err
	}
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	s.held = &socket
	if err := syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return err
	}
	return syscall.Bind(socket, &syscall.SockaddrInet4{Port: address.Port, Addr: [4]byte(address.IP.To4())})
}

func (s *Switch) release() {
	if s.held != nil {
		_ = syscall.Close(*s.held)
		s.held = nil
	}
}

// serve is called with mu held.
func (s *Switch) serve(listener net.Listener) {
	s.listener = listener
	s.work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if target, ok := s.keep(listener, conn); ok {
				s.work.Go(func() { s.pass(conn, target) })
			}
		}
	})
}

// keep remembers a connection, and says where it goes, unless the listener that it
// came by is no more.
func (s *Switch) keep(listener net.Listener, conn net.Conn) (target string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != listener {
		conn.Close()
		return "", false
	}
	s.conns[conn] = true
	return s.target, true
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
