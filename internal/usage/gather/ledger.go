// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/internal/usage"
)

const (
	// maxStrays bounds the versions that auth servers report and no APIKey has: those that
	// are new or just gone, and what a compromised auth server makes up.
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
	absent   int
	lastUsed time.Time
	// requests is how many this process has gathered.
	requests int64

	// observed: a status of it was seen. stored is the last use that it had, and storedAt
	// when that was seen to be written; zero if this process has seen no write.
	observed         bool
	stored, storedAt time.Time

	// shares are the parts of each auth server.
	shares map[string]share
	// past is where requests came from, by auth servers that are gone.
	past []usage.Source
	// label: the version has metrics of its own.
	label *label
}

// share is what one auth server has reported last of a version.
type share struct {
	requests int64
	sources  []usage.Source
}

// NewLedger returns an empty Ledger. interval is the least time between two writes of
// a status for usage alone.
func NewLedger(clock clock.PassiveClock, interval time.Duration) *Ledger {
	return &Ledger{clock: clock, interval: interval, versions: map[usage.ID]*version{}}
}

// take adds an auth server's answer. It returns how many of its versions were too many.
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
	v := &version{shares: map[string]share{}}
	l.versions[id] = v
	l.strays++
	return v
}

// take adds one auth server's count.
func (v *version) take(process string, count *usage.Count) {
	before := v.shares[process].requests
	if count.Requests < before {
		before = 0 // The version left its index, and came back.
	}
	v.requests += count.Requests - before
	v.shares[process] = share{requests: count.Requests, sources: count.Sources}
}

// forget drops the shares of an auth server that is gone for good. What it has reported
// still counts.
func (l *Ledger) forget(process string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range l.versions {
		v.past = merge(v.past, v.shares[process].sources)
		delete(v.shares, process)
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
		l.labels.release(v)
		delete(l.versions, id)
		l.strays--
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
	return usage.Use{LastUsed: v.lastUsed, Sources: sources}
}
