// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import "sync"

// Shares bound how many requests are under way that were let in, and how many of them are
// one organization's, so that none can take the place of all others.
type Shares struct {
	total, each int

	mu    sync.Mutex
	taken int
	// of has those who have any, so it is bounded by total.
	of map[string]int
}

// NewShares returns Shares of total requests at a time, of which one organization has at
// most each.
func NewShares(total, each int) *Shares {
	return &Shares{total: total, each: each, of: map[string]int{}}
}

// Take reports whether one more request of an organization may go on. It then is to be
// given back.
func (s *Shares) Take(organization string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.total || s.of[organization] >= s.each {
		return false
	}
	s.taken++
	s.of[organization]++
	return true
}

// Return gives it back.
func (s *Shares) Return(organization string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.of[organization]--; s.of[organization] == 0 {
		delete(s.of, organization)
	}
}
