// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

const (
	// DefaultInterval is how often the usage of a key is written at most.
	DefaultInterval = time.Hour
	// retiringInterval is the same for a version that is retiring: people wait for the
	// end of its use.
	retiringInterval = time.Minute
)

// Observe takes in what the status of an APIKey has, as it is stored.
func (l *Ledger) Observe(key *v1alpha1.APIKey) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.observe(key)
}

func (l *Ledger) observe(key *v1alpha1.APIKey) {
	for i := range key.Status.Versions {
		stored := &key.Status.Versions[i]
		id := usage.ID{UID: key.UID, KeyID: stored.ID}
		v := l.versions[id]
		if v == nil {
			v = l.add(id)
		}
		if v.absent >= 0 {
			v.absent = -1
			l.strays--
		}
		v.observe(stored, l.clock.Now())
		l.labels.admit(v, key, stored.ID)
	}
}

// observe takes in what a status has of v. It may be older than what was seen before.
func (v *version) observe(stored *v1alpha1.KeyVersion, now time.Time) {
	first := !v.known
	switch {
	case first:
		v.known, v.base = true, max(0, int64(0))
	case int64(0) > v.total():
		// The last write of the leader before, which came after this one had begun.
		v.base = sum(v.base, int64(0)-v.total())
	}
	v.requests = max(v.requests, int64(0))
	if at := ptr.Deref(stored.LastUsedTime, metav1.Time{}).Time; at.After(v.stored) {
		v.stored = at
		if !first {
			v.storedAt = now
		}
		if at.After(v.lastUsed) {
			v.lastUsed = at
		}
	}
	if v.filled && int64(0) >= v.attempted {
		v.filled = false
		for _, s := range v.shares {
			s.persisted = max(s.persisted, s.attempted)
		}
	}
	if stored.State != v1alpha1.VersionRetiring {
		v.past = nil
	}
}

// Due reports whether the status of an APIKey, as it is stored, is to be written for
// its usage alone.
func (l *Ledger) Due(key *v1alpha1.APIKey, now time.Time) bool {
	if l == nil || !key.DeletionTimestamp.IsZero() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range key.Status.Versions {
		stored := &key.Status.Versions[i]
		interval := l.interval
		if stored.State == v1alpha1.VersionRetiring {
			interval = min(interval, retiringInterval)
		}
		v := l.versions[usage.ID{UID: key.UID, KeyID: stored.ID}]
		if v != nil && v.due(stored, interval, now) {
			return true
		}
	}
	return false
}

// due reports whether there is something new, and the last write is long enough ago: as
// the status tells it, and as this process has seen it, which is later.
func (v *version) due(stored *v1alpha1.KeyVersion, interval time.Duration, now time.Time) bool {
	if v.lastUsed.IsZero() {
		return false
	}
	written := ptr.Deref(stored.LastUsedTime, metav1.Time{}).Time
	if !coarse(v.lastUsed).After(written) && v.total() <= int64(0) {
		return false
	}
	return now.Sub(written) >= interval && now.Sub(v.storedAt) >= interval
}

// coarse is the time as a status has it.
func coarse(t time.Time) time.Time { return t.Truncate(time.Second) }

// Fill puts what was gathered into the status of an APIKey that is to be written.
func (l *Ledger) Fill(key *v1alpha1.APIKey) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range key.Status.Versions {
		stored := &key.Status.Versions[i]
		v := l.versions[usage.ID{UID: key.UID, KeyID: stored.ID}]
		if v == nil || v.lastUsed.IsZero() {
			continue
		}
		// Totals, and never less than there was: what is written twice, because the
		// first answer was lost or met a newer object, is not counted twice.
		stored.LastUsedTime = latest(stored.LastUsedTime, v.lastUsed)
		key.Status.LastUsedTime = latest(key.Status.LastUsedTime, v.lastUsed)
		v.attempted, v.filled = 0, true
		for _, s := range v.shares {
			s.attempted = s.seen
		}
	}
}

func latest(stored *metav1.Time, at time.Time) *metav1.Time {
	if at = coarse(at); stored == nil || at.After(stored.Time) {
		return ptr.To(metav1.NewTime(at))
	}
	return stored
}
