// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"slices"
	"sync"
	"time"
)

const (
	// turnKept is for how long a namespace keeps its place in the queue without asking again.
	turnKept = 10 * restartRetry
	// turnsKept bounds how many namespaces are in the queue. Others ask again, and are in it
	// as soon as there is room.
	turnsKept = 1024
)

// turns lets one look at workloads be made at a time, for the memory that it takes. Nobody
// waits for another's: who finds it taken asks again. Namespaces take turns, so that one
// with many large workloads delays the restarts of another by one look, and not by all of
// its own. The zero value is ready for use.
type turns struct {
	mu    sync.Mutex
	taken bool
	// waiting has who asked first before who asked later.
	waiting []turn
}

// turn is the place of a namespace in the queue.
type turn struct {
	namespace string
	asked     time.Time
}

// take reports whether it is the namespace's turn; then release has to be called.
func (t *turns) take(namespace string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = slices.DeleteFunc(t.waiting, func(w turn) bool { return now.Sub(w.asked) > turnKept })
	at := slices.IndexFunc(t.waiting, func(w turn) bool { return w.namespace == namespace })
	switch {
	case !t.taken && (at == 0 || len(t.waiting) == 0):
		t.taken = true
		t.waiting = slices.DeleteFunc(t.waiting, func(w turn) bool { return w.namespace == namespace })
		return true
	case at >= 0:
		t.waiting[at].asked = now
	case len(t.waiting) < turnsKept:
		t.waiting = append(t.waiting, turn{namespace: namespace, asked: now})
	}
	return false
}

func (t *turns) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = false
}
