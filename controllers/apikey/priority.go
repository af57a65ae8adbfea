// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
)

const (
	// revocationPriority is that of APIKeys whose keys are to be refused. They are
	// reconciled before all others that wait, be those a tenant's who creates faster than
	// keys are minted, or the whole list after a start: controller-runtime gives the latter
	// handler.LowPriority, and everything else 0. A requeue keeps it.
	revocationPriority = 100
	// bulkPriority is that of the revocations of a namespace beyond its share, as when one
	// request deletes a thousand APIKeys: those of others do not wait for them.
	bulkPriority = 50
	// shareBurst and sharePerSecond are the share of a namespace.
	shareBurst, sharePerSecond = 20, 5
	// sharesKept bounds how many namespaces are remembered. One that is forgotten has its
	// whole share again.
	sharesKept = 4096
)

// shares are what each namespace has left of its share of one kind of work.
type shares struct {
	clock clock.PassiveClock
	// mu has one caller at a time make a limiter.
	mu       sync.Mutex
	limiters *lru.Cache
}

func newShares(clock clock.PassiveClock) *shares {
	return &shares{clock: clock, limiters: lru.New(sharesKept)}
}

// priority is that of one more revocation of a namespace.
func (s *shares) priority(namespace string) int {
	if s.take(namespace) {
		return revocationPriority
	}
	return bulkPriority
}

// take takes one from what a namespace has left, and reports whether there was one.
func (s *shares) take(namespace string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.limiters.Get(namespace)
	if !ok {
		known = flowcontrol.NewTokenBucketPassiveRateLimiterWithClock(sharePerSecond, shareBurst, s.clock)
		s.limiters.Add(namespace, known)
	}
	limiter, ok := known.(flowcontrol.PassiveRateLimiter)
	return ok && limiter.TryAccept()
}

// Courtesy has what a namespace has much of at once, and can wait, come after the work of
// others: new keys, rotations, and the ends of keys that expire, which auth servers refuse
// by themselves. The share of a namespace comes in its turn, so that nobody waits for ever
// for what others have much of.
type Courtesy struct {
	shares *shares
	// given has the APIKeys that have given way, until their turn comes.
	given sync.Map
}

// NewCourtesy returns a Courtesy of which every namespace has its whole share.
func NewCourtesy(clock clock.PassiveClock) *Courtesy { return &Courtesy{shares: newShares(clock)} }

// GivesWay reports whether work for an APIKey is to come again, after all others that wait.
func (c *Courtesy) GivesWay(name types.NamespacedName) bool {
	if _, before := c.given.LoadAndDelete(name); before || c.shares.take(name.Namespace) {
		return false
	}
	c.given.Store(name, nil)
	return true
}

// Forget forgets an APIKey that is gone.
func (c *Courtesy) Forget(name types.NamespacedName) { c.given.Delete(name) }

// Later is when work comes again that has given way.
func Later() ctrl.Result {
	return ctrl.Result{RequeueAfter: time.Millisecond, Priority: ptr.To(handler.LowPriority)}
}

// canWait reports whether a key is to be made, or is due to be replaced or taken back
// because of the time.
func canWait(key *v1alpha1.APIKey, now time.Time) bool {
	if !key.DeletionTimestamp.IsZero() || key.Spec.Suspend {
		return false
	}
	expiry, expires := key.Expiry()
	next, after, active := key.Status.NextRotationTime, key.Spec.Rotation.RotateAfter, lifecycle.MintedIn(&key.Status, v1alpha1.VersionActive)
	return len(key.Status.Versions) == 0 ||
		expires && !now.Before(expiry.Time) && key.Status.Acceptance == v1alpha1.AcceptanceAccepted ||
		after != nil && active != nil && !active.RegistrationTime.After(after.Time) && !now.Before(after.Time) ||
		next != nil && !now.Before(next.Time)
}

// revocationsFirst enqueues APIKeys whose keys are to be refused. It comes beside what
// enqueues every APIKey: of two priorities the queue takes the higher.
func revocationsFirst(shares *shares) handler.Funcs {
	enqueue := func(obj client.Object, q Queue) {
		key, ok := obj.(*v1alpha1.APIKey)
		if !ok || key.DeletionTimestamp.IsZero() && !key.Spec.Suspend {
			return
		}
		enqueueAt(q, shares.priority(key.Namespace), reconcile.Request{NamespacedName: client.ObjectKeyFromObject(key)})
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q Queue) { enqueue(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q Queue) { enqueue(e.ObjectNew, q) },
	}
}

// enqueueAt adds a request with a priority.
func enqueueAt(q Queue, priority int, request reconcile.Request) {
	if prioritized, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: ptr.To(priority)}, request)
		return
	}
	q.Add(request)
}

// enqueueKeys enqueues the APIKeys that a changed object concerns. Those that have keys
// come first, for the change may revoke them. Anybody may name an Organization: those that
// it has refused come last.
func (r *Reconciler) enqueueKeys(concerned func(context.Context, client.Object) []v1alpha1.APIKey) handler.Funcs {
	enqueue := func(ctx context.Context, obj client.Object, initial bool, q Queue) {
		keys := concerned(ctx, obj)
		for i := range keys {
			priority := 0
			switch {
			case initial, keys[i].Status.Acceptance == v1alpha1.AcceptanceWithdrawn && len(keys[i].Status.Versions) == 0:
				priority = handler.LowPriority
			case len(keys[i].Status.Versions) > 0:
				priority = revocationPriority
			}
			enqueueAt(q, priority, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&keys[i])})
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q Queue) { enqueue(ctx, e.Object, e.IsInInitialList, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q Queue) { enqueue(ctx, e.ObjectNew, false, q) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q Queue) { enqueue(ctx, e.Object, false, q) },
	}
}
