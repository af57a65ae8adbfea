// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"runtime"
	"time"
)

// turns is how many connections have what they have sent be made requests of at the same time,
// so that no more goroutines compete for the processors than that makes. earlyTurns are for connections that have had an answer and owe little, as those of busy
// gateways.
const turns, earlyTurns = 4, 16

// owesLittle is what the requests owe that a busy gateway has in flight on a connection, and
// owesNext those of most clients.
const owesLittle, owesNext = 8 << 20, 8 * streamBytes

// largeHeader is more than most clients send, in bytes.
const largeHeader = 2 << 10

// drainTimeout is how long one waits for its turn, at most, because what connections held that
// were closed is still there.
const drainTimeout = 100 * time.Millisecond

// turnTimeout is how long a turn lasts where others wait. Most last for microseconds, but
// net/http reads no further on a connection that it is about to close.
const turnTimeout = 10 * time.Millisecond

// turn is one turn, of one of the queues, since a time in nanoseconds.
type turn struct {
	queue chan struct{}
	since int64
}

// takeTurn waits until it is the turn of a connection that owes so much, or the connection
// ends. answered: it has had an answer. more: what it has sent makes it owe more.
func (c *conn) takeTurn(answered bool, owed int64, more bool) {
	if more && (!answered || owed > owesNext) {
		c.awaitDrain()
	}
	queue := c.listener.turns
	if answered && owed <= owesLittle {
		queue = c.listener.early
	}
	select {
	case queue <- struct{}{}:
	default:
		if !c.awaitTurn(queue) {
			return
		}
	}
	c.turn.Store(&turn{queue, c.listener.clock.Now().UnixNano()})
	select {
	case <-c.ended:
		c.leaveTurn()
	default:
	}
}

// awaitDrain waits while what connections held that were closed is still there: it takes some
// time until their handlers have returned, and others are not to take as much again meanwhile.
func (c *conn) awaitDrain() {
	l := c.listener
	for began := l.clock.Now(); l.ending.Load() > l.limits.Memory && l.clock.Since(began) < drainTimeout; {
		pause := l.clock.NewTimer(time.Millisecond)
		select {
		case <-pause.C():
		case <-c.ended:
			pause.Stop()
			return
		}
	}
}

func (c *conn) awaitTurn(queue chan struct{}) bool {
	for {
		patience := c.listener.clock.NewTimer(turnTimeout)
		select {
		case queue <- struct{}{}:
			patience.Stop()
			return true
		case <-c.ended:
			patience.Stop()
			return false
		case <-patience.C():
			c.listener.endTurns()
		}
	}
}

// endTurns ends those that have lasted for too long.
func (l *Listener) endTurns() {
	if !l.sweeping.TryLock() {
		return // somebody does
	}
	defer l.sweeping.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	latest := l.clock.Now().Add(-turnTimeout).UnixNano()
	for c := range l.open {
		if t := c.turn.Load(); t != nil && t.since <= latest {
			c.leave(t)
		}
	}
}

// endTurn is called when net/http asks for more: it has made requests of what it had.
func (c *conn) endTurn() {
	t := c.turn.Load()
	if t == nil {
		return
	}
	if t.queue == c.listener.turns {
		runtime.Gosched() // the requests are to have begun
	}
	c.leave(t)
}

// leaveTurn ends its turn, if it has one.
func (c *conn) leaveTurn() { c.leave(c.turn.Load()) }

// leave ends a turn, once: its connection may, or the next that waits, or who closes it.
func (c *conn) leave(t *turn) {
	if t != nil && c.turn.CompareAndSwap(t, nil) {
		<-t.queue
	}
}
