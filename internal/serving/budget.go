// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"net/http"
	"time"
)

// headerFactor is how many bytes each byte of an HTTP/1.1 header may take: net/http keeps
// 18 KiB of fields that have two letters and no value in 430 KB.
const headerFactor = 25

// minHeld is for how long a connection counts as holding what it owes, at least, so that of
// several that came a moment ago the one that owes most makes room.
const minHeld = 10 * time.Millisecond

// debt is bytes that are owed, and when each began to be: weight is the sum of each by its
// time in seconds.
type debt struct {
	bytes  int64
	weight float64
}

func (d *debt) owe(bytes int64, now float64) {
	d.bytes += bytes
	d.weight += float64(bytes) * now
}

// pay takes some of it away, as old as the rest.
func (d *debt) pay(bytes int64) {
	if d.bytes <= bytes {
		*d = debt{}
		return
	}
	d.weight *= 1 - float64(bytes)/float64(d.bytes)
	d.bytes -= bytes
}

func (d *debt) add(other debt) { d.bytes, d.weight = d.bytes+other.bytes, d.weight+other.weight }

// burden is each byte by how long it has been owed.
func (d *debt) burden(now float64) float64 {
	return max(float64(d.bytes)*now-d.weight, float64(d.bytes)*minHeld.Seconds())
}

// Request is one request of a connection, which owes what it may take of the listener's
// memory from its first byte on until it was answered, or let in.
type Request struct {
	conn  *conn
	letIn bool
}

// LetIn has the request owe nothing any more: from now on somebody else bounds it.
func (r *Request) LetIn() {
	if r.conn == nil || r.letIn {
		return
	}
	r.letIn = true
	r.conn.reckon(func() {
		if m := r.conn.multiplex; m != nil {
			m.letIn++
		} else {
			r.conn.heading = debt{}
		}
	})
}

// Account returns a handler that reports to the listener what becomes of requests.
func (l *Listener) Account(answer func(http.ResponseWriter, *http.Request, *Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := connOf(r.Context())
		if !ok {
			answer(w, r, &Request{})
			return
		}
		request := &Request{conn: c}
		r.TLS = cmp.Or(r.TLS, c.tlsState())
		c.begins(r)
		defer c.returned(request)
		answer(w, r, request)
	})
}

// connOf returns the connection of a request.
func connOf(ctx context.Context) (*conn, bool) {
	c, ok := ctx.Value(connKey{}).(*conn)
	return c, ok
}

// seconds is the time, for debts.
func (c *conn) seconds() float64 { return c.listener.clock.Since(c.listener.began).Seconds() }

// Read takes note of what the client sends. Where a few bytes make much work, as over HTTP/2
// and in a large header, connections take turns.
func (c *conn) Read(p []byte) (int, error) {
	c.endTurn()
	if c.secure != nil {
		c.wire.left.Store(wireMost)
	}
	n, err := c.Conn.Read(p)
	if n == 0 {
		explain(err)
		return n, err
	}
	var turn, answered bool
	var owed, more int64
	c.reckon(func() {
		answered, owed = c.answered, c.owed.bytes
		c.take(p[:n])
		if m := c.multiplex; m != nil {
			turn = m.in.whole() // net/http has nothing to do before
		} else {
			turn = c.reads && c.read > largeHeader
		}
	})
	more = c.owes().bytes - owed
	if turn {
		c.takeTurn(answered, owed, more > 0)
	}
	return n, err
}

// take counts what was read: of a header, over HTTP/1.1, or frames.
func (c *conn) take(p []byte) {
	if c.multiplex != nil {
		c.received(p)
		return
	}
	if !c.reads {
		return
	}
	c.read += int64(len(p))
	c.heading.owe(int64(len(p))*headerFactor, c.seconds())
	if !c.listener.multiplexed || c.greeting < 0 {
		return
	}
	n := min(len(p), len(preface)-c.greeting)
	if !bytes.Equal(p[:n], preface[c.greeting:c.greeting+n]) {
		c.greeting = -1
		return
	}
	if c.greeting += n; c.greeting == len(preface) {
		c.heading, c.multiplex = debt{}, &multiplex{}
		c.received(p[n:])
	}
}

// begins notes that a handler has a request. Over HTTP/1.1 what has come with its header may be
// that of the next.
func (c *conn) begins(r *http.Request) {
	c.running.Add(1)
	c.owing.Lock()
	defer c.owing.Unlock()
	if c.multiplex != nil {
		c.multiplex.running++
		return
	}
	c.leaveTurn()
	size := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len("  \r\n\r\nHost: \r\n") + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value) + len(": \r\n")
		}
	}
	if c.reads, c.read = false, c.read-int64(size); c.read < guessed {
		c.read = 0
	}
}

// guessed is by how much the size of a header may be guessed wrong.
const guessed = 512

// rests notes that every request of the connection was answered.
func (c *conn) rests() {
	c.reckon(func() {
		if c.multiplex != nil {
			c.multiplex.resets = 0 // nothing is left that could wait
			return
		}
		c.answered, c.reads, c.heading = true, true, debt{}
		c.heading.owe(c.read*headerFactor, c.seconds())
	})
}

// Write takes note of what is sent. Over HTTP/1.1 that is an answer, so no more of a header is
// read.
func (c *conn) Write(p []byte) (int, error) {
	if c.multiplex == nil { // it is there before anything is written over HTTP/2
		c.leaveTurn()
		return c.Conn.Write(p)
	}
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.reckon(func() { c.sent(p[:n]) })
	}
	return n, err
}

// reckon changes what the connection owes.
func (c *conn) reckon(change func()) {
	more, total := c.change(change)
	if limit := c.listener.limits.Memory; more > 0 && limit > 0 && total > limit {
		c.listener.relieve()
	}
}

// change returns how much more the connection owes, and what all do.
func (c *conn) change(change func()) (more, total int64) {
	c.owing.Lock()
	defer c.owing.Unlock()
	if c.closed {
		return 0, 0
	}
	change()
	before := c.owed.bytes
	c.owed = c.heading
	if c.multiplex != nil {
		c.owed = c.multiplex.unsettled()
	}
	more = c.owed.bytes - before
	return more, c.listener.owed.Add(more)
}

// returned is called when a handler has.
func (c *conn) returned(request *Request) {
	c.reckon(func() {
		if c.multiplex != nil {
			c.multiplex.served(request.letIn, c.seconds())
		}
	})
	if c.running.Add(-1) == 0 && c.over.Load() {
		c.drained()
	}
}

// drained notes that nothing is left of a connection that was closed.
func (c *conn) drained() { c.listener.ending.Add(-c.dying.Swap(0)) }

// owes returns what it owes.
func (c *conn) owes() debt {
	c.owing.Lock()
	defer c.owing.Unlock()
	return c.owed
}

// relieve closes those connections that hold most for the longest, until what the others
// owe is within the limit. Valid requests are not among them as long as others hold more:
// what they owe they owe for as long as it takes to answer.
func (l *Listener) relieve() {
	l.mu.Lock()
	var aborted []*conn
	for l.owed.Load() > l.limits.Memory {
		worst := l.worst()
		if worst == nil {
			break
		}
		l.release(worst)
		l.metrics.memory.Inc()
		aborted = append(aborted, worst)
	}
	l.mu.Unlock()
	for _, c := range aborted {
		abort(c.raw) // the server notices, and closes c
	}
}

// worst returns the connection that holds most for the longest, or nil if none owes anything.
// Somebody has to hold mu.
func (l *Listener) worst() (worst *conn) {
	var most float64
	for c := range l.some() {
		owed := c.owes()
		if burden := owed.burden(c.seconds()); owed.bytes > 0 && burden > most {
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
