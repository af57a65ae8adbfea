// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// clientBits is the part of an IPv6 address that is one client's: whoever has one
// address of a /64 has them all (RFC 6177).
const clientBits = 64

// Limits bound the connections of a listener. 0 is no bound.
type Limits struct {
	// Total is how many there are at a time. Beyond, the one that has been idle for the
	// longest makes room for another, and if none is idle the other is closed.
	Total int
	// PerClient is how many one address has, or a /64 of IPv6. Beyond, another is closed.
	// It is not for listeners whose clients are few gateways.
	PerClient int
}

// Listener is a listener with Limits.
type Listener struct {
	net.Listener

	limits  Limits
	metrics listenerMetrics

	mu      sync.Mutex
	open    int
	clients map[netip.Prefix]int
	// idle are the connections that wait for a request, the one that has waited longest first.
	idle *list.List
}

// Limit returns l with limits. What its server is to be told, ConnState has.
func Limit(l net.Listener, name string, limits Limits, metrics *Metrics) *Listener {
	return &Listener{
		Listener: l, limits: limits, metrics: metrics.listener(name),
		clients: map[netip.Prefix]int{}, idle: list.New(),
	}
}

// Accept returns the next connection that the limits permit.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: accepted, listener: l, client: clientOf(accepted.RemoteAddr())}
		evicted, ok := l.admit(c)
		if evicted != nil {
			abort(evicted.Conn) // the server notices, and closes c
		}
		if ok {
			return c, nil
		}
		abort(accepted)
	}
}

// admit counts a connection, if it may be had.
func (l *Listener) admit(c *conn) (evicted *conn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limits.PerClient > 0 && l.clients[c.client] >= l.limits.PerClient {
		l.metrics.perClient.Inc()
		return nil, false
	}
	if l.limits.Total > 0 && l.open >= l.limits.Total {
		longest := l.idle.Front()
		if longest == nil {
			l.metrics.total.Inc()
			return nil, false
		}
		l.metrics.evicted.Inc()
		evicted = longest.Value.(*conn)
		l.release(evicted)
	}
	l.open++
	l.clients[c.client]++
	l.metrics.open.Set(float64(l.open))
	return evicted, true
}

// release stops counting a connection. Somebody has to hold mu.
func (l *Listener) release(c *conn) {
	if c.released {
		return
	}
	c.released = true
	l.busy(c)
	l.open--
	if l.clients[c.client]--; l.clients[c.client] == 0 {
		delete(l.clients, c.client)
	}
	l.metrics.open.Set(float64(l.open))
}

func (l *Listener) busy(c *conn) {
	if c.waiting != nil {
		l.idle.Remove(c.waiting)
		c.waiting = nil
	}
}

// ConnState is for http.Server: it tells which connections wait for a request.
func (l *Listener) ConnState(connection net.Conn, state http.ConnState) {
	if secure, ok := connection.(*tls.Conn); ok {
		connection = secure.NetConn()
	}
	c, ok := connection.(*conn)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy(c)
	if (state == http.StateNew || state == http.StateIdle) && !c.released {
		c.waiting = l.idle.PushBack(c)
	}
}

// conn is a connection that is counted until it is closed.
type conn struct {
	net.Conn

	listener *Listener
	client   netip.Prefix
	// released and waiting are guarded by the listener's mu.
	released bool
	waiting  *list.Element
}

// Close closes the connection and makes room for another.
func (c *conn) Close() error {
	c.listener.mu.Lock()
	c.listener.release(c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite has net/http close the direction of a connection whose other one is still
// read, so that an answer arrives.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// clientOf returns whose connection it is. All of which nothing is known are one client's.
func clientOf(address net.Addr) netip.Prefix {
	from, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip := from.Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = clientBits
	}
	prefix, _ := ip.Prefix(bits) // bits are never too many
	return prefix
}

// abort closes a connection without a wait of the kernel's for what was not sent.
func abort(connection net.Conn) {
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close()
}
