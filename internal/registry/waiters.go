// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"maps"
	"slices"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// Patience is how long a wait lasts before it is reconciled without a hint, and before
// an APIKey's status says who it waits for.
const Patience = time.Second

// Waiters remembers which objects of one kind wait for which revision to be
// applied, and for which purposes, and says which of them to requeue when a Lease has
// changed. It only wakes: nothing is decided by it. It is safe for concurrent use.
//
// Its size is bounded by the number of objects that are being minted, changed or
// revoked: who does not wait any more says so by Keep or Done.
type Waiters struct {
	// kind is the annotation that says what a Lease has applied of it.
	kind string

	mu     sync.Mutex
	waits  map[types.NamespacedName]map[string]pendingWait
	leases map[types.NamespacedName]leaseHint
	clock  clock.PassiveClock
}

// pendingWait is for a revision, since a time.
type pendingWait struct {
	revision string
	since    time.Time
}

// leaseHint is what the informer last showed of a Lease.
type leaseHint struct {
	resourceVersion string
	// applied of the kind that waits, and reported of all kinds: a new key waits for
	// its Organization and Namespace, too.
	applied  string
	reported report
	// silentAt is when the Lease will have been unchanged for so long that
	// nothing waits for it any more, as far as a hint can say.
	silentAt time.Time
}

// Wait is one object's wait for a change of it to be applied.
type Wait struct {
	// Revision is the change's.
	Revision string
	// Since is when the wait began.
	Since time.Time
	// MinResourceVersion is the resourceVersion of the latest Lease that is known, if every
	// Lease seems to have applied the change, and that one was written after it. What a
	// Lease says is not enough: a compromised auth server may say that it has applied what
	// is still to come. Empty otherwise, and where the API server keeps Leases in another
	// etcd, with revisions that are behind.
	MinResourceVersion string
	// Worthwhile: listing the Leases is worth its cost now. They seem to have applied the
	// change, or none is known, or the wait has taken long.
	Worthwhile bool
}

// NewWaiters returns Waiters for APIKeys.
func NewWaiters(clock clock.PassiveClock) *Waiters {
	return newWaiters(annotationAppliedAPIKeys, clock)
}

// NewOrganizationWaiters returns Waiters for Organizations.
func NewOrganizationWaiters(clock clock.PassiveClock) *Waiters {
	return newWaiters(annotationAppliedOrganizations, clock)
}

func newWaiters(kind string, clock clock.PassiveClock) *Waiters {
	return &Waiters{kind: kind, waits: map[types.NamespacedName]map[string]pendingWait{}, leases: map[types.NamespacedName]leaseHint{}, clock: clock}
}

// Wait has key wait for revision to be applied, for a purpose. As long as the
// purpose is the same the wait stays for the revision that it began with: each
// write to the status of what waits makes a later revision, and a wait for the
// latest would never end.
//
// It is to be called before anybody asks who is missing, or the wake-up is missed.
func (w *Waiters) Wait(key types.NamespacedName, purpose, revision string) Wait {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now()
	waiting, ok := w.waits[key][purpose]
	if !ok {
		waiting = pendingWait{revision: revision, since: now}
		if w.waits[key] == nil {
			w.waits[key] = map[string]pendingWait{}
		}
		w.waits[key][purpose] = waiting
	}
	wait := Wait{Revision: waiting.revision, Since: waiting.since}
	least, latest := w.least(now)
	applied := hasApplied(least, waiting.revision)
	if applied && hasApplied(latest, waiting.revision) {
		wait.MinResourceVersion = latest
	}
	wait.Worthwhile = least == "" || applied || now.Sub(waiting.since) >= Patience
	return wait
}

// Keep has key wait for no other than these purposes.
func (w *Waiters) Keep(key types.NamespacedName, purposes ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.waits[key], func(purpose string, _ pendingWait) bool { return !slices.Contains(purposes, purpose) })
	if len(w.waits[key]) == 0 {
		delete(w.waits, key)
	}
}

// Done has key wait no more.
func (w *Waiters) Done(key types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waits, key)
}

// LeaseChanged records a Lease, and returns whose wait may be over.
func (w *Waiters) LeaseChanged(lease *coordinationv1.Lease) []types.NamespacedName {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := types.NamespacedName{Namespace: lease.Namespace, Name: lease.Name}
	now := w.clock.Now()
	hint := leaseHint{
		resourceVersion: lease.ResourceVersion,
		applied:         lease.Annotations[w.kind],
		reported:        reportOf(lease),
		silentAt:        now.Add(leaseBounds(lease).suspect),
	}
	before := w.leases[name]
	advanced := before.reported != hint.reported
	w.leases[name] = hint
	if !advanced {
		return nil
	}
	return w.ripe(now)
}

// LeaseGone forgets a Lease, and returns whose wait may be over.
func (w *Waiters) LeaseGone(name types.NamespacedName) []types.NamespacedName {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.leases, name)
	return w.ripe(w.clock.Now())
}

// ripe returns those whose revision was applied by each Lease that is not silent. What
// waits for a silent one is requeued by its own timer.
func (w *Waiters) ripe(now time.Time) []types.NamespacedName {
	if len(w.waits) == 0 {
		return nil
	}
	least, _ := w.least(now)
	var ripe []types.NamespacedName
	for key, waits := range w.waits {
		for _, waiting := range waits {
			if least == "" || hasApplied(least, waiting.revision) {
				ripe = append(ripe, key)
				break
			}
		}
	}
	return ripe
}

// least returns the revision that every Lease that is not silent has applied:
// "0" while one of them has applied none, "" when there is no such Lease. latest is
// the resourceVersion of the one among them that was written last.
func (w *Waiters) least(now time.Time) (least, latest string) {
	for _, hint := range w.leases {
		switch {
		case now.After(hint.silentAt):
			continue
		case validRevision(hint.applied) != nil:
			least = nothingApplied
		case least == "" || least != nothingApplied && later(least, hint.applied):
			least = hint.applied
		}
		if latest == "" || later(hint.resourceVersion, latest) {
			latest = hint.resourceVersion
		}
	}
	return least, latest
}
