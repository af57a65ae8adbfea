// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"bytes"
	"context"
	"io"
	"iter"
	"net/http"
	"time"
)

const (
	// headerFactor is how many bytes each byte of an HTTP/1.1 header may take: net/http keeps
	// 18 KiB of fields that have two letters and no value in 430 KB.
	headerFactor = 25
	// fieldBytes is what a field of an HTTP/2 header takes beside its text, twice. How many
	// there may be is bounded, for each counts as 32 bytes more than its text (RFC 9113,
	// section 6.5.2).
	fieldBytes = 100
	// streamBytes is what a request over HTTP/2 takes beside that.
	streamBytes = 32 << 10
	// bodyFactor is how many bytes each byte of a body takes that is read to its end before
	// anything is decided: its buffer grows by doubling.
	bodyFactor = 3
	// controlFactor is how many bytes each byte of a frame takes whose answer waits: that to a
	// PING of 17 bytes takes some 200.
	controlFactor = 16
	// blockedAfter is from when on a write waits for the client, and not for the machine.
	blockedAfter = 50 * time.Millisecond
	// minHeld is for how long a connection counts as holding what it owes, at least, so that of
	// several that came a moment ago the one that owes most makes room.
	minHeld = 10 * time.Millisecond
)

// Debt is what one request may take of the listener's memory, from its first byte until it
// was answered, or let in.
type Debt struct {
	conn *conn
	// bytes are those of a stream; over HTTP/1.1 the connection owes them.
	bytes int64
	// unread is what the connection owes for bodies, if the stream has one.
	unread int64
}

// Settle has the request owe nothing any more: from now on somebody else bounds it.
func (d *Debt) Settle() {
	switch {
	case d.conn == nil:
	case d == &d.conn.debt:
		d.conn.forgive()
	default:
		if d.unread > 0 && d.conn.bodies.Add(-1) == 0 {
			d.conn.owe(-d.unread)
		}
		d.conn.owe(-d.bytes)
		d.conn.progressed()
		d.conn.answered.Store(true)
		d.bytes, d.unread = 0, 0
	}
}

// Body has the request owe what is read of its body, too. One goroutine at a time may read it.
func (d *Debt) Body(body io.ReadCloser) io.ReadCloser { return &owedBody{body, d} }

type owedBody struct {
	io.ReadCloser
	debt *Debt
}

func (b *owedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.debt.conn != nil {
		b.debt.bytes += int64(n) * bodyFactor
		b.debt.conn.owe(int64(n) * bodyFactor)
	}
	return n, err
}

// Account has requests owe what they may take while next answers them. unread is how many
// bytes of a body a connection may send that next does not read. next may settle the debt
// before it returns.
func (l *Listener) Account(unread int64, next func(http.ResponseWriter, *http.Request, *Debt)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := connOf(r.Context())
		switch {
		case !ok:
			next(w, r, &Debt{})
		case r.ProtoMajor == 1:
			c.heading.Store(false)
			c.leaveTurn()
			next(w, r, &c.debt)
		default:
			debt := &Debt{conn: c, bytes: sizeOf(r)}
			if r.ContentLength != 0 {
				debt.unread = unread
			}
			if debt.unread > 0 && c.bodies.Add(1) == 1 {
				c.owe(unread)
			}
			c.owe(debt.bytes)
			defer debt.Settle()
			taken := &noted{ResponseWriter: w}
			next(taken, r, debt)
			taken.flush()
		}
	})
}

// noted notes whether there is a body. net/http writes what is left of one after the
// handler has returned, and a client that takes nothing would then hold the stream, and owe
// nothing.
type noted struct {
	http.ResponseWriter
	wrote bool
}

func (n *noted) Write(p []byte) (int, error) {
	n.wrote = true
	return n.ResponseWriter.Write(p)
}

// Flush is what handlers of gRPC look for.
func (n *noted) Flush() { _ = http.NewResponseController(n.ResponseWriter).Flush() }

// Unwrap is what http.ResponseController looks for.
func (n *noted) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// flush waits until the client has taken the body. A header without one ends its stream.
func (n *noted) flush() {
	if n.wrote {
		n.Flush() // whoever has gone away needs no answer
	}
}

// sizeOf is what a request over HTTP/2 takes, without its body.
func sizeOf(r *http.Request) int64 {
	size := streamBytes + len(r.RequestURI)
	for name, values := range r.Header {
		for _, value := range values {
			size += 2*(len(name)+len(value)) + fieldBytes
		}
	}
	return int64(size)
}

// connOf returns the connection of a request.
func connOf(ctx context.Context) (*conn, bool) {
	c, ok := ctx.Value(connKey{}).(*conn)
	return c, ok
}

// Read counts what comes of a header, over HTTP/1.1. Over HTTP/2 it counts what comes while the
// client takes nothing: net/http keeps an answer to each PING until then. Over HTTP/2, where a
// few bytes make many requests, and where a header is large, the connections of the listener
// take turns, so that others need not wait for all of them.
func (c *conn) Read(p []byte) (int, error) {
	c.endTurn()
	n, err := c.Conn.Read(p)
	if n == 0 {
		return n, err
	}
	if !c.greeted {
		c.greeted = true
		c.multiplexed.CompareAndSwap(false, bytes.HasPrefix(p[:n], []byte(preface)))
	}
	switch {
	case c.multiplexed.Load():
		c.takeTurn()
		c.fallBehind(n)
	case c.heading.Load():
		c.owe(int64(n) * headerFactor)
		if c.owed.Load() > largeHeader*headerFactor {
			c.takeTurn()
		}
	}
	return n, err
}

// preface is what a connection begins with that speaks HTTP/2 without TLS (RFC 9113, section
// 3.4).
const preface = "PRI * HTTP/2.0"

// fallBehind counts what comes while an answer is not taken.
func (c *conn) fallBehind(n int) {
	since := c.writing.Load()
	if since == 0 || c.listener.clock.Now().UnixNano()-since < int64(blockedAfter) {
		return
	}
	behind := int64(n) * controlFactor
	c.behind.Add(behind)
	c.owe(behind)
}

// Write notes that an answer is being sent, over HTTP/2.
func (c *conn) Write(p []byte) (int, error) {
	if !c.multiplexed.Load() {
		return c.Conn.Write(p)
	}
	c.writing.Store(c.listener.clock.Now().UnixNano())
	n, err := c.Conn.Write(p)
	c.writing.Store(0)
	if behind := c.behind.Swap(0); behind > 0 {
		c.owe(-behind)
	}
	return n, err
}

// owe has the connection owe some bytes more, or fewer.
func (c *conn) owe(bytes int64) {
	c.owing.Lock()
	if c.closed {
		c.owing.Unlock()
		return
	}
	c.owed.Add(bytes)
	total := c.listener.owed.Add(bytes)
	c.owing.Unlock()
	if limit := c.listener.limits.Memory; bytes > 0 && limit > 0 && total > limit {
		c.listener.relieve()
	}
}

// forgive has it owe nothing.
func (c *conn) forgive() {
	c.owing.Lock()
	c.listener.owed.Add(-c.owed.Swap(0))
	c.owing.Unlock()
	c.progressed()
}

// progressed notes that a request has come to its end.
func (c *conn) progressed() { c.settled.Store(c.listener.clock.Now().UnixNano()) }

// burden is what it owes, by how long nothing has come to its end there.
func (c *conn) burden(now time.Time) float64 {
	return float64(c.owed.Load()) * float64(max(now.UnixNano()-c.settled.Load(), int64(minHeld)))
}

// relieve closes those connections that hold most for the longest, until what the others
// owe is within the limit. Valid requests are not among them as long as others hold more:
// what they owe they owe for as long as it takes to answer.
func (l *Listener) relieve() {
	l.mu.Lock()
	var aborted []*conn
	for now := l.clock.Now(); l.owed.Load() > l.limits.Memory; {
		worst := l.worst(now)
		if worst == nil {
			break
		}
		l.release(worst)
		l.metrics.memory.Inc()
		aborted = append(aborted, worst)
	}
	l.mu.Unlock()
	for _, c := range aborted {
		abort(c.Conn) // the server notices, and closes c
	}
}

// worst returns the connection that holds most for the longest, or nil if none owes anything.
// Somebody has to hold mu.
func (l *Listener) worst(now time.Time) (worst *conn) {
	var most float64
	for c := range l.some() {
		if burden := c.burden(now); burden > most {
			worst, most = c, burden
		}
	}
	return worst
}

// compared is how many connections are compared, at most, to close one of them. Of more, it
// is one of the worst.
const compared = 4096

// some are the open connections, or as many as are compared. Somebody has to hold mu.
func (l *Listener) some() iter.Seq[*conn] {
	return func(yield func(*conn) bool) {
		left := compared
		for c := range l.open { // begins anywhere
			if left--; left < 0 || !yield(c) {
				return
			}
		}
	}
}
