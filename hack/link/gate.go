// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"net"
	"sync"
)

// gate is open or shut. Who comes while it is shut waits.
type gate struct {
	changed *sync.Cond
	// shut is changed under the lock of changed.
	shut bool
}

func newGate() *gate { return &gate{changed: sync.NewCond(&sync.Mutex{})} }

func (g *gate) set(shut bool) {
	g.changed.L.Lock()
	defer g.changed.L.Unlock()
	g.shut = shut
	g.changed.Broadcast()
}

// pass waits until the gate is open.
func (g *gate) pass() {
	g.changed.L.Lock()
	defer g.changed.L.Unlock()
	for g.shut {
		g.changed.Wait()
	}
}

// gatedListener has the bytes of its connections pass the gates of a link.
type gatedListener struct {
	net.Listener
	link *Link
}

func (l *gatedListener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	return &gatedConn{connection, l.link}, err
}

// gatedConn is a connection whose bytes get no further while a gate is shut. It
// stays open meanwhile, as one does whose packets are lost.
type gatedConn struct {
	net.Conn
	link *Link
}

func (c *gatedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.link.gates[Requests].pass()
	return n, err
}

func (c *gatedConn) Write(p []byte) (int, error) {
	c.link.gates[Answers].pass()
	return c.Conn.Write(p)
}
