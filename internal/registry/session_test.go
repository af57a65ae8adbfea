// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"testing"
	"time"
)

func testSession(joined time.Time) *session {
	return newSession(indexWith(acme("1"), apiKey("a", "1", "known")), bounds{staleness: 10 * time.Second, suspect: 4 * time.Second}, joined)
}

func TestSessionByItsAge(t *testing.T) {
	for name, test := range map[string]struct {
		age            time.Duration
		known, unknown Verdict
	}{
		"fresh":                              {0, Accepted, Unknown},
		"just before it is suspect":          {4*time.Second - 1, Accepted, Unknown},
		"suspect: an unknown key may be new": {4 * time.Second, Accepted, Undecided},
		"just before it is fenced":           {10*time.Second - 1, Accepted, Undecided},
		"fenced: not even a known key":       {10 * time.Second, Undecided, Undecided},
		"long gone":                          {time.Hour, Undecided, Undecided},
	} {
		t.Run(name, func(t *testing.T) {
			s, now := testSession(epoch), func() time.Time { return epoch.Add(test.age) }
			if _, got := s.authenticate(digestOf("known"), now); got != test.known {
				t.Errorf("known key: verdict %d, want %d", got, test.known)
			}
			if _, got := s.authenticate(digestOf("other"), now); got != test.unknown {
				t.Errorf("unknown key: verdict %d, want %d", got, test.unknown)
			}
		})
	}
}

func TestRenewalCountsFromWhenItWasSent(t *testing.T) {
	s := testSession(epoch)
	if !s.extend(epoch.Add(3*time.Second), epoch.Add(9*time.Second)) {
		t.Fatal("a renewal in time was not accepted")
	}
	if s.fenced(epoch.Add(13*time.Second - 1)) {
		t.Error("fenced before the bound has passed since the renewal was sent")
	}
	if !s.fenced(epoch.Add(13 * time.Second)) {
		t.Error("not fenced although the bound has passed since the renewal was sent")
	}
}

func TestALateRenewalEndsTheSessionForGood(t *testing.T) {
	s := testSession(epoch)
	if s.extend(epoch.Add(9*time.Second), epoch.Add(10*time.Second)) {
		t.Fatal("a renewal whose answer came after the deadline has extended the session")
	}
	if !s.fenced(epoch) {
		t.Error("a broken session serves")
	}
	if s.extend(epoch, epoch) {
		t.Error("a broken session was extended")
	}
}

func TestTheDeadlineIsCheckedAfterTheLookup(t *testing.T) {
	s := testSession(epoch)
	// The process stands still between look-up and clock, past the deadline.
	late := func() time.Time { return epoch.Add(time.Minute) }
	if _, got := s.authenticate(digestOf("known"), late); got != Undecided {
		t.Errorf("verdict %d: what was looked up before a pause was believed after it", got)
	}
}

func TestEitherClockCanFence(t *testing.T) {
	start := time.Now() // Has a monotonic reading, which only the clock itself can give.
	if got := elapsed(start, start.Add(time.Minute)); got != time.Minute {
		t.Errorf("both clocks: %s", got)
	}
	// The machine was suspended: the monotonic clock stood still.
	if got := elapsed(start.Round(0), start.Round(0).Add(time.Hour)); got != time.Hour {
		t.Errorf("wall clock alone: %s", got)
	}
}

func TestASilenceLeavesADoubtAboutUnknownKeys(t *testing.T) {
	s := testSession(epoch)
	at := epoch.Add(5 * time.Second)
	now := func() time.Time { return at }
	if !s.extend(at, at) {
		t.Fatal("a renewal within the staleness bound was not accepted")
	}
	if _, got := s.authenticate(digestOf("other"), now); got != Undecided {
		t.Errorf("verdict %d: a key that was given out during the silence may be called unknown", got)
	}
	if _, got := s.authenticate(digestOf("known"), now); got != Accepted {
		t.Errorf("verdict %d: a known key suffers from the doubt", got)
	}
	// A second silence in the midst of the doubt leaves one doubt, and counts anew.
	at = at.Add(5 * time.Second)
	s.extend(at, at)
	if !s.doubtful() || !s.doubtedAt.Equal(at) {
		t.Errorf("doubtful %t since %s after a second silence", s.doubtful(), s.doubtedAt)
	}
	resolved := func() time.Time {
		s.trust()
		return at
	}
	if _, got := s.authenticate(digestOf("other"), resolved); got != Undecided {
		t.Errorf("verdict %d: what was looked up in doubt is certain because the doubt ended since", got)
	}
	if _, got := s.authenticate(digestOf("other"), now); got != Unknown {
		t.Errorf("verdict %d after the doubt has ended", got)
	}
	silence := func() time.Time {
		later := at.Add(5 * time.Second)
		s.extend(later, later)
		s.trust()
		return later
	}
	if _, got := s.authenticate(digestOf("other"), silence); got != Undecided {
		t.Errorf("verdict %d: what was looked up before a silence is certain after it", got)
	}
}
