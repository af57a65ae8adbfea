// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// evictAfter is how long a connection has to be idle until it may make room for another.
// Those of a gateway that is busy never are.
const evictAfter = 250 * time.Millisecond

// clientBits is the part of an IPv6 address that is one client's: whoever has one
// address of a /64 has them all (RFC 6177).
const clientBits = 64

// Limits bound the connections of a listener. 0 is no bound.
type Limits struct {
	// Total is how many there are at a time. Beyond, the one that has been idle for the
	// longest makes room for another, and if none is idle the other is closed. Idle is also
	// whose request has not come yet, and who was answered and has a body to send.
	Total int
	// PerClient is how many one address has, or a /64 of IPv6. Beyond, another is closed.
	// It is not for listeners whose clients are few gateways.
	PerClient int
	// Memory is how many bytes the requests of all connections may take that were neither
	// answered nor let in; see Account. Beyond, the connection that holds most for the
	// longest is closed.
	Memory int64
}

// Listener is a listener with Limits.
type Listener struct {
	net.Listener

	limits  Limits
	clock   clock.Clock
	metrics listenerMetrics

	// owed is what all connections owe.
	owed atomic.Int64
	// turns and early have a place for each connection whose turn it is.
	turns, early chan struct{}

	mu      sync.Mutex
	open    map[*conn]struct{}
	clients map[netip.Prefix]*client
}

// client is an address, or a /64 of IPv6, and how many connections it has.
type client struct {
	prefix      netip.Prefix
	connections int
}

// Limit returns l with limits. Its ConnState and ConnContext are for its http.Server.
func Limit(l net.Listener, name string, limits Limits, c clock.Clock, metrics *Metrics) *Listener {
	return &Listener{
		Listener: l, limits: limits, clock: c, metrics: metrics.listener(name),
		turns: make(chan struct{}, turns), early: make(chan struct{}, earlyTurns), open: map[*conn]struct{}{}, clients: map[netip.Prefix]*client{},
	}
}

// Accept returns the next connection that the limits permit.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := l.newConn(accepted)
		evicted, ok := l.admit(c, clientOf(accepted.RemoteAddr()))
		if evicted != nil {
			abort(evicted.Conn) // the server notices, and closes c
		}
		if ok {
			return c, nil
		}
		abort(accepted)
	}
}

func (l *Listener) newConn(accepted net.Conn) *conn {
	c := &conn{Conn: accepted, listener: l}
	c.debt.conn, c.ended = c, make(chan struct{})
	c.heading.Store(true)
	c.progressed()
	return c
}

// admit counts a connection, if it may be had.
func (l *Listener) admit(c *conn, from netip.Prefix) (evicted *conn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.clients[from]; known != nil && l.limits.PerClient > 0 && known.connections >= l.limits.PerClient {
		l.metrics.perClient.Inc()
		return nil, false
	}
	if l.limits.Total > 0 && len(l.open) >= l.limits.Total {
		if evicted = l.dispensable(from); evicted == nil {
			l.metrics.total.Inc()
			return nil, false
		}
		l.metrics.evicted.Inc()
		l.release(evicted)
	}
	l.open[c] = struct{}{}
	if c.client = l.clients[from]; c.client == nil {
		c.client = &client{prefix: from}
		l.clients[from] = c.client
	}
	c.client.connections++
	l.metrics.open.Set(float64(len(l.open)))
	return evicted, true
}

// dispensable returns the connection that makes room for another: of those that keep the server
// waiting for long enough, one of the client that has most, and of these the one that does for
// the longest. Nobody makes room for a client that has more.
func (l *Listener) dispensable(from netip.Prefix) (c *conn) {
	least := 0
	if known := l.clients[from]; known != nil {
		least = known.connections
	}
	latest := l.clock.Now().Add(-evictAfter).UnixNano()
	var longest int64
	for other := range l.some() {
		since := other.waitsSince()
		if since == 0 || since > latest || other.client.connections < least {
			continue
		}
		if c == nil || other.client.connections > c.client.connections || other.client == c.client && since < longest {
			c, longest = other, since
		}
	}
	return c
}

// release stops counting a connection. Somebody has to hold mu.
func (l *Listener) release(c *conn) {
	if c.released {
		return
	}
	c.released = true
	close(c.ended)
	c.leaveTurn()
	c.owing.Lock()
	c.closed = true
	l.owed.Add(-c.owed.Swap(0))
	c.owing.Unlock()
	delete(l.open, c)
	if c.client.connections--; c.client.connections == 0 {
		delete(l.clients, c.client.prefix)
	}
	l.metrics.open.Set(float64(len(l.open)))
}

// ConnState is for http.Server: it tells which connections wait for a request. One whose
// header comes piece by piece waits, too.
func (l *Listener) ConnState(connection net.Conn, state http.ConnState) {
	c, ok := counted(connection)
	if !ok {
		return
	}
	if state == http.StateIdle || state == http.StateClosed {
		if !c.multiplexed.Load() {
			c.forgive()
			c.answered.Store(true)
		}
		c.heading.Store(!c.multiplexed.Load())
	}
	if state == http.StateNew || state == http.StateIdle {
		c.idles()
	} else {
		c.idle.Store(0)
	}
}

// idles notes that the connection waits for its client.
func (c *conn) idles() { c.idle.Store(c.listener.clock.Now().UnixNano()) }

// waitsSince is since when the client keeps the server waiting, in nanoseconds; 0 if it does
// not.
func (c *conn) waitsSince() int64 {
	if since := c.idle.Load(); since != 0 {
		return since
	}
	if c.multiplexed.Load() && c.owed.Load() > 0 {
		return c.settled.Load()
	}
	return 0
}

// connKey is where the context of a request holds its connection.
type connKey struct{}

// ConnContext is for http.Server: by it a request knows its connection.
func (l *Listener) ConnContext(ctx context.Context, connection net.Conn) context.Context {
	c, ok := counted(connection)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, connKey{}, c)
}

// lingers notes that the connection of a request has its answer.
func lingers(ctx context.Context) {
	if c, ok := connOf(ctx); ok {
		c.idles()
	}
}

// counted returns the connection under TLS, if there is any.
func counted(connection net.Conn) (*conn, bool) {
	if secure, ok := connection.(*tls.Conn); ok {
		connection = secure.NetConn()
	}
	c, ok := connection.(*conn)
	return c, ok
}

// conn is a connection that is counted until it is closed.
type conn struct {
	net.Conn

	listener *Listener
	client   *client
	// idle is since when it waits for its client, in nanoseconds; 0 if it does not.
	idle atomic.Int64

	// heading: what is read is a header. multiplexed: over HTTP/2, whose streams owe.
	heading, multiplexed atomic.Bool
	// greeted: something was read, by the one who reads.
	greeted bool
	// turn is the one that it has, or nil.
	turn atomic.Pointer[turn]
	// answered: a request of it was, or was let in.
	answered atomic.Bool
	// ended is closed with the connection.
	ended chan struct{}
	// bodies is how many streams have one, and are neither answered nor let in.
	bodies atomic.Int32
	// writing is since when an answer is being sent, in nanoseconds, and behind what it owes
	// for what has come since.
	writing, behind atomic.Int64
	// settled is when a request has come to its end the last time, in nanoseconds.
	settled atomic.Int64
	// debt is that of its request, over HTTP/1.1.
	debt Debt
	// owed is in bytes, and is written by whoever has owing; once it is closed, nothing is
	// owed.
	owing  sync.Mutex
	owed   atomic.Int64
	closed bool

	// released is guarded by the listener's mu.
	released bool
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

// TLS returns config for a server that serves the listener, over HTTP/2 where clients offer
// it, unless that is not multiplexed. Of the handshake no memory is left, so it is no part of
// a header.
func (l *Listener) TLS(config *tls.Config, multiplexed bool) *tls.Config {
	config = config.Clone()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if c, ok := hello.Conn.(*conn); ok {
			c.multiplexed.Store(multiplexed && slices.Contains(hello.SupportedProtos, "h2"))
			c.forgive()
		}
		return nil, nil //nolint:nilnil // The documented way to keep the configuration.
	}
	return config
}
