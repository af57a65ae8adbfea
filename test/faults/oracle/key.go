// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"sync"
	"time"
)

// State is what clients know of a key.
type State int

const (
	// Uncertain: the key is on its way in or out, and may be accepted or not.
	Uncertain State = iota
	// Valid: the key was reported as ready, and nobody has asked for its end.
	Valid
	// Dead: the end of the key was reported as complete.
	Dead
)

// Key is a key's history.
type Key struct {
	// Name tells it from others in what is printed. It is not the key.
	Name string

	mu sync.Mutex
	// marks are in the order of time; before the first the key is Uncertain.
	marks []mark
}

type mark struct {
	at    time.Time
	state State
}

// Mark notes that the key is in this state from now on.
func (k *Key) Mark(state State) { k.MarkAt(time.Now(), state) }

// MarkAt notes that the key is in this state since at, which is later than that of
// any other mark.
func (k *Key) MarkAt(at time.Time, state State) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last().state != state {
		k.marks = append(k.marks, mark{at, state})
	}
}

// Now is the state that the key is in, and since when.
func (k *Key) Now() (State, time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	last := k.last()
	return last.state, last.at
}

func (k *Key) last() mark {
	if len(k.marks) == 0 {
		return mark{}
	}
	return k.marks[len(k.marks)-1]
}

// during is the state that the key was in all the time from one moment to another;
// Uncertain if it changed.
func (k *Key) during(from, to time.Time) State {
	k.mu.Lock()
	defer k.mu.Unlock()
	state := Uncertain
	for _, m := range k.marks {
		switch {
		case !m.at.After(from):
			state = m.state
		case !m.at.After(to):
			return Uncertain
		}
	}
	return state
}
