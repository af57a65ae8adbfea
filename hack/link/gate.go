// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"net"
	"sync"
)

// gate is open or shut. Who comes while it is shut waits.
type gate struct {
	mu sync.Mutex
	// opened is closed while the gate is open.
	opened chan struct{}
	shut   bool
}

func newGate() *gate {
	g := &gate{opened: make(chan struct{})}
	close(g.opened)
	return g
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case shut && !g.shut:
		g.opened = make(chan struct{})
	case !shut && g.shut:
		close(g.opened)
	}
	g.shut = shut
}

// pass waits until the gate is open; false when done came first.
func (g *gate) pass(done <-chan struct{}) bool {
	for {
		g.mu.Lock()
		opened, shut := g.opened, g.shut
		g.mu.Unlock()
		if !shut {
			return true
		}
		select {
		case <-opened:
		case <-done:
			return false
		}
	}
}

// gatedListener has the bytes of its connections pass two gates.
type gatedListener struct {
	net.Listener
	in, out *gate
}

func (l *gatedListener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &gatedConn{Conn: connection, in: l.in, out: l.out, closed: make(chan struct{})}, nil
}

// gatedConn is a connection whose bytes get no further while a gate is shut. It
// stays open meanwhile, as one does whose packets are lost.
type gatedConn struct {
	net.Conn
	in, out *gate
	once    sync.Once
	closed  chan struct{}
}

func (c *gatedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.in.pass(c.closed) {
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *gatedConn) Write(p []byte) (int, error) {
	if !c.out.pass(c.closed) {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

func (c *gatedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
