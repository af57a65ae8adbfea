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

// Observe records the status of an APIKey, as it is stored.
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

// observe records what a status has of v. It may be older than what was seen before.
func (v *version) observe(stored *v1alpha1.KeyVersion, now time.Time) {
	if at := ptr.Deref(stored.LastUsedTime, metav1.Time{}).Time; at.After(v.stored) {
		v.stored = at
		if v.observed {
			v.storedAt = now
		}
		if at.After(v.lastUsed) {
			v.lastUsed = at
		}
	}
	v.observed = true
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
	written := ptr.Deref(stored.LastUsedTime, metav1.Time{}).Time
	return coarse(v.lastUsed).After(written) && now.Sub(written) >= interval && now.Sub(v.storedAt) >= interval
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
		// Never earlier than it was, so it may be written twice, and by two managers.
		stored.LastUsedTime = latest(stored.LastUsedTime, v.lastUsed)
		key.Status.LastUsedTime = latest(key.Status.LastUsedTime, v.lastUsed)
	}
}

func latest(stored *metav1.Time, at time.Time) *metav1.Time {
	if at = coarse(at); stored == nil || at.After(stored.Time) {
		return ptr.To(metav1.NewTime(at))
	}
	return stored
}
