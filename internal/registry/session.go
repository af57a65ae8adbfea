// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"sync/atomic"
	"time"

	"github.com/hexcovery/apikey-operator/internal/keys"
)

// session is one unbroken membership of a replica: its index and its deadline.
// It is published whole, and never extended once it is broken.
//
// A request that looked up in the index of one session must not be judged by the
// deadline of another: between the two may lie a revocation that the manager has
// reported complete, because it had counted the old session out.
type session struct {
	index  *index
	bounds bounds
	// feed fills the index.
	feed *feed
	// wake asks for a report soon.
	wake func()
	// renewed is when the last renewal that succeeded was sent.
	renewed atomic.Pointer[time.Time]
	broken  atomic.Bool
	// doubts is odd while nobody waits for this replica before giving out a new key, and
	// from then on until the index is known to have those keys: after a silence of the
	// Lease, and while the feed fails. It only grows.
	doubts atomic.Uint64
	// doubtedAt is when the last silence ended, zero if there was none; only the reporter
	// uses it.
	doubtedAt time.Time
}

func newSession(ix *index, b bounds, joined time.Time) *session {
	s := &session{index: ix, bounds: b}
	s.renewed.Store(&joined)
	return s
}

// extend counts the session's bounds from sent, when a renewal that succeeded
// was sent; answered is when its answer came. It reports false, and the session
// is over, if the answer came after the deadline that stood before: by then the
// manager may have counted this replica out.
func (s *session) extend(sent, answered time.Time) bool {
	if s.fenced(answered) {
		s.broken.Store(true)
		return false
	}
	if s.silent(answered) {
		// Before the renewal counts, or a request could come in between.
		s.doubtedAt = answered
		s.doubt()
	}
	s.renewed.Store(&sent)
	return true
}

// doubt has the session call no key unknown.
func (s *session) doubt() {
	if !s.doubtful() {
		s.doubts.Add(1)
	}
}

// doubtful reports whether a silence has left a doubt.
func (s *session) doubtful() bool { return s.doubts.Load()%2 != 0 }

// trust ends the doubt: the index has everything that was registered meanwhile.
func (s *session) trust() {
	if s.doubtful() {
		s.doubts.Add(1)
	}
}

// fenced reports whether the session may serve nothing at now.
func (s *session) fenced(now time.Time) bool {
	return s.broken.Load() || elapsed(*s.renewed.Load(), now) >= s.bounds.staleness
}

// timeToFence is how long the session may still serve if nothing renews it.
func (s *session) timeToFence(now time.Time) time.Duration {
	if s.broken.Load() {
		return 0
	}
	return max(0, s.bounds.staleness-elapsed(*s.renewed.Load(), now))
}

// silent reports whether the last renewal is so long ago at now that nobody waits
// for this replica before giving out a new key.
func (s *session) silent(now time.Time) bool {
	return elapsed(*s.renewed.Load(), now) >= s.bounds.suspect
}

// elapsed is the longer of what the monotonic and the wall clock measured. The
// first stands still while a virtual machine is suspended, the second can be set
// back.
func elapsed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)))
}

// authenticate looks digest up and then, as the last thing, checks the deadline.
// now is called after the look-up.
func (s *session) authenticate(digest keys.Digest, now func() time.Time) (Grant, Verdict) {
	doubts := s.doubts.Load()
	entry := s.index.lookup(digest)
	at := now()
	grant, verdict := entry.judge(at)
	switch {
	case s.fenced(at):
		return Grant{}, Undecided
	case verdict != Accepted && (s.silent(at) || doubts%2 != 0 || s.doubts.Load() != doubts):
		// The change that makes this key good may be on its way, or have come between
		// the look-up and now.
		return Grant{}, Undecided
	}
	return grant, verdict
}
