// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import "context"

// maxSnapshotAge is how long a consistent list is cached: with thousands of APIKeys
// waiting for a silent replica, there are still only a few lists a second.
const maxSnapshotAge = Patience / 4

// cachedList makes one list at a time, and caches the last answer.
type cachedList struct {
	// turn guards last; it is a lock that a context can interrupt.
	turn chan struct{}
	last *Snapshot
}

func newCachedList() cachedList {
	return cachedList{turn: make(chan struct{}, 1), last: &Snapshot{}}
}

// share returns the cached answer if it is usable, or lists.
func (c *cachedList) share(ctx context.Context, usable func(last Snapshot) bool, list func() (Snapshot, error)) (Snapshot, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return Snapshot{}, context.Cause(ctx)
	}
	defer func() { <-c.turn }()
	if !c.last.asked.IsZero() && usable(*c.last) {
		return *c.last, nil
	}
	answer, err := list()
	if err == nil {
		*c.last = answer
	}
	return answer, err
}
