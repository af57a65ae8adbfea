// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"math"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

const (
	// maxStrays bounds the versions that auth servers tell of and no APIKey has: those
	// that are new or just gone, and what an auth server that was taken over makes up.
	maxStrays = 20_000
	// absentRounds is after how many rounds a version that no APIKey has is given up.
	// One could be due to a cache that lags.
	absentRounds = 2
)

// Ledger is what is known of the use of each version. It is safe for concurrent use;
// a nil Ledger knows nothing.
type Ledger struct {
	clock clock.PassiveClock
	// interval is the least time between two writes for the usage of a version.
	interval time.Duration

	mu       sync.Mutex
	versions map[usage.ID]*version
	strays   int
	labels   labels
}

// version is what is known of one version.
type version struct {
	// absent counts the rounds in which no APIKey had it; -1 if one has.
	absent int
	// known: base was read from a status.
	known bool
	// base is what was written down by others, counted what this process has gathered.
	base, counted int64
	lastUsed      time.Time

	// stored is what the status was last seen to have; storedAt when it was seen to be
	// written, zero if this process has seen no write.
	stored   time.Time
	requests int64
	storedAt time.Time
	// attempted is the total that was last put into a status that is to be written.
	attempted int64
	filled    bool
	// owed is the total when an auth server had last handed something over that was not
	// written down: from then on this process alone has it.
	owed int64

	// shares are the parts of each auth server.
	shares map[string]*share
	// past is where requests came from, by auth servers that are gone.
	past []usage.Source
	// label: the version has metrics of its own.
	label *label
}

// share is one auth server's part in a version, in totals since its start.
type share struct {
	serial uint64
	// seen is in counted, attempted was in the status when it was last filled, persisted
	// was seen in a status, acknowledged is known to the auth server.
	seen, attempted, persisted, acknowledged int64
	sources                                  []usage.Source
}

// NewLedger returns an empty Ledger. interval is the least time between two writes of
// a status for usage alone.
func NewLedger(clock clock.PassiveClock, interval time.Duration) *Ledger {
	return &Ledger{clock: clock, interval: interval, versions: map[usage.ID]*version{}}
}

// total is every request that is known of.
func (v *version) total() int64 { return sum(v.base, v.counted) }

// sum does not overflow, whatever an auth server says.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// take adds what an auth server has told. It returns how many of its versions found no
// place.
func (l *Ledger) take(process string, answer *usage.Answer, received time.Time) (refused int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range answer.Versions {
		count := &answer.Versions[i]
		v := l.versions[count.ID]
		if v == nil {
			if l.strays >= maxStrays {
				refused++
				continue
			}
			v = l.add(count.ID)
		}
		v.take(process, count)
		if count.LastUsed > 0 {
			// By how long ago it was: clocks of two machines are not compared. Both numbers
			// are rounded down, so it may have been a second later, and no later than now.
			ago := max(0, answer.Now-count.LastUsed-1)
			if at := received.Add(-time.Duration(min(ago, maxAgo)) * time.Second); at.After(v.lastUsed) {
				v.lastUsed = at
			}
		}
	}
	return refused
}

// maxAgo keeps a duration from overflowing.
const maxAgo = 10 * 365 * 24 * 60 * 60

func (l *Ledger) add(id usage.ID) *version {
	v := &version{shares: map[string]*share{}}
	l.versions[id] = v
	l.strays++
	return v
}

// take adds one auth server's count.
func (v *version) take(process string, count *usage.Count) {
	requests := max(0, count.Requests)
	s := v.shares[process]
	if s == nil || s.serial != count.Serial {
		// What was acknowledged is in the base.
		written := min(max(0, count.Acknowledged), requests)
		s = &share{serial: count.Serial, seen: written, persisted: written, acknowledged: written}
		v.shares[process] = s
	}
	if requests > s.seen {
		v.counted = sum(v.counted, requests-s.seen)
		s.seen = requests
	}
	s.sources = count.Sources[:min(len(count.Sources), usage.MaxOrigins+1)]
}

// marks returns what the auth server may be told is written down.
func (l *Ledger) marks(process string) []usage.Mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	var marks []usage.Mark
	for id, v := range l.versions {
		if len(marks) == usage.MaxVersions {
			break
		}
		if s := v.shares[process]; s != nil && s.persisted > s.acknowledged {
			marks = append(marks, usage.Mark{ID: id, Serial: s.serial, Requests: s.persisted})
		}
	}
	return marks
}

// acknowledged takes note that the auth server has got marks.
func (l *Ledger) acknowledged(process string, marks []usage.Mark) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, mark := range marks {
		if v := l.versions[mark.ID]; v != nil {
			if s := v.shares[process]; s != nil && s.serial == mark.Serial {
				s.acknowledged = max(s.acknowledged, mark.Requests)
			}
		}
	}
}

// adopt takes note that an auth server is going: what it has told, and nobody has
// written down, nobody else can tell again.
func (l *Ledger) adopt(process string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range l.versions {
		if s := v.shares[process]; s != nil && s.seen > s.persisted {
			v.owed = v.total()
		}
	}
}

// owes reports whether an APIKey's status lacks what this process alone has.
func (l *Ledger) owes(key *v1alpha1.APIKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range key.Status.Versions {
		v := l.versions[usage.ID{UID: key.UID, KeyID: key.Status.Versions[i].ID}]
		if v != nil && v.owed > v.requests {
			return true
		}
	}
	return false
}

// forget drops the parts of an auth server that is gone for good. What it has told
// stays counted.
func (l *Ledger) forget(process string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range l.versions {
		if s := v.shares[process]; s != nil {
			v.past = merge(v.past, s.sources)
			delete(v.shares, process)
		}
	}
}

// collect ends a round: exists has the versions that some APIKey has.
func (l *Ledger) collect(exists map[usage.ID]struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, v := range l.versions {
		if _, ok := exists[id]; ok {
			continue
		}
		if v.absent < 0 {
			v.absent = 0
			l.strays++
		}
		if v.absent++; v.absent < absentRounds {
			continue
		}
		// There is no status that these could be written to.
		done := true
		for _, s := range v.shares {
			s.persisted = s.seen
			done = done && s.acknowledged >= s.seen
		}
		if done {
			l.labels.release(v)
			delete(l.versions, id)
			l.strays--
		}
	}
}

// Use returns what is known of a version.
func (l *Ledger) Use(uid types.UID, keyID string) usage.Use {
	if l == nil {
		return usage.Use{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.versions[usage.ID{UID: uid, KeyID: keyID}]
	if v == nil {
		return usage.Use{}
	}
	sources := v.past
	for _, s := range v.shares {
		sources = merge(sources, s.sources)
	}
	return usage.Use{Requests: v.total(), LastUsed: v.lastUsed, Sources: sources}
}
