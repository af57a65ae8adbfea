// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

const (
	// departedFor is how long a counter stays at least after its version left the index:
	// a request that found it there before counts with it.
	departedFor = time.Minute
	// maxDeparted bounds the counters of versions that left the index and were not gathered.
	maxDeparted = 10_000
)

// Table has the counters of one process. Indexes come and go with the sessions of a
// replica; counters stay. It is safe for concurrent use; the methods of a nil Table do
// nothing.
type Table struct {
	clock clock.PassiveClock

	mu       sync.Mutex
	counters map[ID]*Counter
	scans    uint64
	// taken is the scan up to which everything was gathered.
	taken uint64
	// departed are counters without a holder, the longest first; some of them may have
	// one again.
	departed []*Counter
	lost     int64
}

// NewTable returns a Table without counters.
func NewTable(clock clock.PassiveClock) *Table {
	return &Table{clock: clock, counters: map[ID]*Counter{}}
}

// Hold returns the counter of a version for an entry of an index, which has to Release
// it when it goes. watched says whether to count where its requests come from.
func (t *Table) Hold(uid types.UID, keyID string, watched bool) *Counter {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	id := ID{UID: uid, KeyID: keyID}
	c := t.counters[id]
	if c == nil {
		c = &Counter{id: id}
		t.counters[id] = c
	}
	c.holders++
	switch {
	case !watched:
		c.origins.Store(nil)
	case c.origins.Load() == nil:
		c.origins.Store(&origins{})
	}
	return c
}

// Release notes that an entry of an index that held c is gone.
func (t *Table) Release(c *Counter) {
	if t == nil || c == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.holders--; c.holders > 0 {
		return
	}
	if c.departed.IsZero() {
		t.departed = append(t.departed, c)
	}
	c.departed = t.clock.Now()
	if len(t.departed) > maxDeparted {
		t.prune()
	}
}

// prune drops the counters that are not needed any more, and more where they are too many.
func (t *Table) prune() {
	now := t.clock.Now()
	surplus := 0
	if over := len(t.departed) - maxDeparted; over > 0 {
		surplus = over + maxDeparted/10 // not one by one
	}
	t.departed = slices.DeleteFunc(t.departed, func(c *Counter) bool {
		requests := c.requests.Load()
		switch {
		case c.holders > 0:
			c.departed = time.Time{}
			return true
		case requests == c.answered && c.changed <= t.taken && now.Sub(c.departed) >= departedFor:
		case surplus > 0:
			surplus--
			t.lost += requests - c.answered
		default:
			return false
		}
		delete(t.counters, c.id)
		return true
	})
}

// Answer returns the counts that q asks for, without what a Table does not know.
func (t *Table) Answer(q *Question) Answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = q.Since
	t.prune()
	t.scans++
	answer := Answer{Now: t.clock.Now().Unix(), Scan: t.scans}
	var found []*Counter
	for _, c := range t.counters {
		if requests := c.requests.Load(); requests != c.answered {
			c.answered, c.changed = requests, t.scans
		}
		if c.changed > q.Since && (q.After == nil || c.id.Compare(*q.After) > 0) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b *Counter) int { return a.id.Compare(b.id) })
	if len(found) > MaxVersions {
		found, answer.More = found[:MaxVersions], true
	}
	for _, c := range found {
		answer.Versions = append(answer.Versions, Count{
			ID: c.id, Requests: c.answered, LastUsed: c.lastUsed.Load(), Sources: c.origins.Load().sources(),
		})
	}
	return answer
}

// Size returns the number of counters.
func (t *Table) Size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.counters)
}

// Pending returns how many requests were counted after the last answer.
func (t *Table) Pending() (requests int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.counters {
		requests += c.requests.Load() - c.answered
	}
	return requests
}

// Lost returns how many requests were counted and then dropped, because no manager has
// asked for too long.
func (t *Table) Lost() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost
}
