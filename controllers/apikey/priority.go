// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
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

// Courtesy has what a namespace has much of at once come after the work of others. The share
// of a namespace comes in its turn, so that nobody waits for ever for what others have much of.
type Courtesy struct {
	clock clock.PassiveClock

	// mu has one caller at a time make a limiter.
	mu sync.Mutex
	// limiters are what namespaces have left of their shares.
	limiters *lru.Cache
	// given has the APIKeys that have given way, until their turn comes.
	given sync.Map
}

// NewCourtesy returns a Courtesy, for one kind of work, of which every namespace has its whole
// share.
func NewCourtesy(clock clock.PassiveClock) *Courtesy {
	return &Courtesy{clock: clock, limiters: lru.New(sharesKept)}
}

// take takes one from what a namespace has left, and reports whether there was one.
func (c *Courtesy) take(namespace string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.limiters.Get(namespace)
	if !ok {
		known = rate.NewLimiter(sharePerSecond, shareBurst)
		c.limiters.Add(namespace, known)
	}
	limiter, ok := known.(*rate.Limiter)
	return ok && limiter.AllowN(c.clock.Now(), 1)
}

// GivesWay reports whether work for an APIKey is to come again, after all others that wait.
func (c *Courtesy) GivesWay(name types.NamespacedName) bool {
	if _, before := c.given.LoadAndDelete(name); before || c.take(name.Namespace) {
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
// because of the time. Auth servers refuse by themselves what has expired.
func canWait(key *v1alpha1.APIKey, now time.Time) bool {
	if ends(key) {
		return false
	}
	expiry, expires := key.Expiry()
	next, after := key.Status.NextRotationTime, key.Spec.Rotation.RotateAfter
	active := lifecycle.MintedIn(&key.Status, v1alpha1.VersionActive)
	return len(key.Status.Versions) == 0 ||
		expires && !now.Before(expiry.Time) && key.Status.Acceptance == v1alpha1.AcceptanceAccepted ||
		after != nil && active != nil && !active.RegistrationTime.After(after.Time) && !now.Before(after.Time) ||
		next != nil && !now.Before(next.Time)
}

// ends reports whether somebody wants that an APIKey's keys are refused.
func ends(key *v1alpha1.APIKey) bool { return !key.DeletionTimestamp.IsZero() || key.Spec.Suspend }

// resultOf is when the next look comes, and with which priority. A requeue keeps that of this
// look, which is right for the end of a key only: what is due later is due like all else.
func resultOf(key *v1alpha1.APIKey, plan *lifecycle.Plan) ctrl.Result {
	result := ctrl.Result{RequeueAfter: plan.Again}
	if len(plan.Waits) == 0 && !ends(key) {
		result.Priority = ptr.To(0)
	}
	return result
}

// enqueueRevocation enqueues an APIKey whose keys are to be refused. It comes beside what
// enqueues every APIKey: of two priorities the queue takes the higher.
func (r *Reconciler) enqueueRevocation(obj client.Object, q Queue) {
	if key, ok := obj.(*v1alpha1.APIKey); ok && ends(key) {
		priority := bulkPriority
		if r.revocations.take(key.Namespace) {
			priority = revocationPriority
		}
		enqueueAt(q, priority, client.ObjectKeyFromObject(key))
	}
}

// enqueueAt enqueues an APIKey with a priority.
func enqueueAt(q Queue, priority int, name types.NamespacedName) {
	request := reconcile.Request{NamespacedName: name}
	if prioritized, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, request)
		return
	}
	q.Add(request)
}
