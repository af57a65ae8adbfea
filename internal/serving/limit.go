// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// evictAfter is how long a connection has to keep the server waiting until it may make room
// for another. Those of a gateway that is busy never do.
const evictAfter = 250 * time.Millisecond

// clientBits is the part of an IPv6 address that is one client's: whoever has one
// address of a /64 has them all (RFC 6177).
const clientBits = 64

// Limits bound the connections of a listener. 0 is no bound.
type Limits struct {
	// Total is how many there are at a time. Beyond, one that keeps the server waiting makes
	// room for another, and if none does the other is closed. Idle ones do, those whose request
	// has not come to its end, and those that were answered and have a body to send or an
	// answer to take.
	Total int
	// PerClient is how many one address has, or a /64 of IPv6. Beyond, another is closed.
	// It is not for listeners whose clients are few gateways.
	PerClient int
	// Memory is how many bytes the requests of all connections may take that were neither
	// answered nor let in; see Account. Beyond, the connection that holds most for the
	// longest is closed. 0 is no bound.
	Memory int64
	// Protocols are what connections may speak, as TLS names them: "h2", "http/1.1".
	Protocols []string
	// TLS is for connections to be secured with; nil for none.
	TLS *tls.Config
}

// Listener is a listener with Limits.
type Listener struct {
	net.Listener

	limits  Limits
	clock   clock.Clock
	metrics listenerMetrics
	// multiplexed: connections may speak HTTP/2.
	multiplexed bool
	// began is what times of debts are from.
	began time.Time
	// owed is how many bytes all connections owe, and ending what those did that were closed
	// and whose handlers have not returned.
	owed, ending atomic.Int64
	// turns and early have a place for each connection whose turn it is; sweeping is had by
	// who ends those that last.
	turns, early chan struct{}
	sweeping     sync.Mutex

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
	if limits.TLS != nil {
		limits.TLS = limits.TLS.Clone()
		limits.TLS.NextProtos = limits.Protocols
	}
	return &Listener{
		Listener: l, limits: limits, clock: c, metrics: metrics.listener(name), multiplexed: slices.Contains(limits.Protocols, "h2"), began: c.Now(),
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
			abort(evicted.raw) // the server notices, and closes c
		}
		if ok {
			return c, nil
		}
		abort(accepted)
	}
}

// newConn returns a connection. What it reads and writes is plain, over TLS, too: net/http
// takes it for one without, and recognizes HTTP/2 by its preface.
func (l *Listener) newConn(accepted net.Conn) *conn {
	c := &conn{Conn: accepted, raw: accepted, listener: l, reads: true, ended: make(chan struct{})}
	if l.limits.TLS != nil {
		c.wire = &wire{Conn: accepted}
		c.secure = tls.Server(c.wire, l.limits.TLS)
		c.Conn = c.secure
	}
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
// waiting, one of the client that has most, and of these the one that does for the longest. It
// has to have done so for long enough, unless its client has twice as many as that of the
// other. Nobody makes room for a client that has more.
func (l *Listener) dispensable(from netip.Prefix) (c *conn) {
	least := 0
	if known := l.clients[from]; known != nil {
		least = known.connections
	}
	latest := l.clock.Now().Add(-evictAfter).UnixNano()
	var longest int64
	for other := range l.some() {
		since, has := other.waitsSince(), other.client.connections
		if since == 0 || has < least || since > latest && has < 2*(least+1) {
			continue
		}
		if c == nil || has > c.client.connections || has == c.client.connections && since < longest {
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
	c.owing.Lock()
	l.owed.Add(-c.owed.bytes)
	l.ending.Add(c.owed.bytes)
	c.dying.Store(c.owed.bytes)
	c.closed, c.owed = true, debt{}
	c.owing.Unlock()
	close(c.ended)
	c.leaveTurn()
	delete(l.open, c)
	if c.client.connections--; c.client.connections == 0 {
		delete(l.clients, c.client.prefix)
	}
	l.metrics.open.Set(float64(len(l.open)))
}

// ConnState is for http.Server: it shows which connections wait for a request. One whose
// header comes piece by piece waits, too.
func (l *Listener) ConnState(connection net.Conn, state http.ConnState) {
	c, ok := counted(connection)
	if !ok {
		return
	}
	if state == http.StateIdle {
		c.rests()
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
	c.owing.Lock()
	defer c.owing.Unlock()
	if c.multiplex == nil || c.owed.bytes == 0 {
		return 0
	}
	// What it owes has been owed since then, on the average.
	since := c.owed.weight / float64(c.owed.bytes)
	return c.listener.began.Add(time.Duration(since * float64(time.Second))).UnixNano()
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

	// raw is what was accepted, and secure TLS over that, or nil.
	raw    net.Conn
	wire   *wire
	secure *tls.Conn
	state  atomic.Pointer[tls.ConnectionState]

	// turn is the one that it has, or nil.
	turn atomic.Pointer[turn]
	// ended is closed when it is not counted any more; over: the server has closed it.
	ended chan struct{}
	over  atomic.Bool
	// running is how many handlers it has, and dying what it owed when it was not counted any
	// more.
	running atomic.Int32
	dying   atomic.Int64

	// owing guards what follows.
	owing sync.Mutex
	// owed is what it owes; once it is closed, nothing is.
	owed   debt
	closed bool
	// answered: a request of it was.
	answered bool
	// heading is what it owes of a header of HTTP/1.1, while it reads one; read is how many
	// bytes of that have come.
	heading debt
	reads   bool
	read    int64
	// greeting is how much has come of the preface of HTTP/2; less than 0 if something else has.
	greeting int
	// multiplex is there once it speaks HTTP/2.
	multiplex *multiplex

	// released is guarded by the listener's mu.
	released bool
}

// Close closes the connection and makes room for another.
func (c *conn) Close() error {
	c.listener.mu.Lock()
	c.listener.release(c)
	c.listener.mu.Unlock()
	c.over.Store(true)
	if c.running.Load() == 0 {
		c.drained()
	}
	return c.Conn.Close()
}

// CloseWrite has net/http close the direction of a connection whose other one is still
// read, so that an answer arrives.
func (c *conn) CloseWrite() error {
	c.leaveTurn()
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

// wire is what is under TLS.
type wire struct {
	net.Conn
	// left is how many bytes more may come before any that is plain.
	left atomic.Int64
}

// wireMost is more than a handshake takes, and than a record. crypto/tls by itself would keep
// 64 KiB of a message that does not end.
const wireMost = 40 << 10

var errTooMuchTLS = errors.New("too much of TLS without any data")

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if w.left.Add(int64(-n)) < 0 {
		return 0, errTooMuchTLS
	}
	return n, err
}

// explain answers plain HTTP at a TLS port, as net/http does where it has the handshake.
func explain(err error) {
	notTLS, ok := errors.AsType[tls.RecordHeaderError](err)
	if !ok || notTLS.Conn == nil {
		return
	}
	switch string(notTLS.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		_, _ = io.WriteString(notTLS.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
	}
}

// tlsState is for requests that came over TLS; nil for others.
func (c *conn) tlsState() *tls.ConnectionState {
	if c.secure == nil {
		return nil
	}
	if state := c.state.Load(); state != nil {
		return state
	}
	state := c.secure.ConnectionState()
	c.state.Store(&state)
	return &state
}
