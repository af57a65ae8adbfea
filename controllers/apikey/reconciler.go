// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/events"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
	"github.com/hexcovery/apikey-operator/internal/refusal"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/usage"
	"github.com/hexcovery/apikey-operator/internal/usage/gather"
)

const (
	// conflictRetry is when a write is tried again that met a newer object; the cache shows
	// that object within milliseconds.
	conflictRetry = 10 * time.Millisecond
	// maxRetryDelay is the most that an error delays the next look: after an outage
	// everything goes on within that time.
	maxRetryDelay = 30 * time.Second
	// timeout ends a look whose requests hang, and frees its worker.
	timeout = time.Minute
	// maxSteps bounds the decisions of one look: the most that any test has taken is half.
	maxSteps = 32
)

// UsageReader knows what keys are used for.
type UsageReader interface {
	// Use returns what was gathered about one version of an APIKey.
	Use(uid types.UID, keyID string) usage.Use
	// Coverage says how far that can be relied on.
	Coverage() usage.Coverage
}

// RolloutReader knows how far the restart of consumers has come.
type RolloutReader interface {
	// Rollout is how far those have come that the current key asks for.
	Rollout(key *v1alpha1.APIKey) lifecycle.Rollout
}

// Reconciler brings each APIKey to a working key in a Secret.
type Reconciler struct {
	// Client reads from the cache and reads its own writes there. The cache holds
	// Secrets as TransformSecret leaves them.
	client.Client
	// Live reads from the API server.
	Live client.Reader

	Clock   clock.PassiveClock
	Members *registry.Members
	Waiters *registry.Waiters
	// Usage and Rollouts decide on retirement.
	Usage    UsageReader
	Rollouts RolloutReader
	// Gatherer says when usage is to be written down.
	Gatherer *gather.Gatherer
	// Escrow holds keys between their registration and their publication.
	Escrow *keys.Escrow
	Events events.Writer
	Audit  *audit.Recorder
	// Refusals tells of APIKeys that were never permitted.
	Refusals *audit.Refusals
	// Unwritten has what the API server refuses to store.
	Unwritten *refusal.Tracker

	// courtesy has bulk work of a namespace come after that of others.
	courtesy *Courtesy
	// memories have, by UID, what this process has done about an APIKey and no object says.
	memories sync.Map
	// claims has the hashes that are becoming versions, for the milliseconds of the write
	// that says so.
	claims sync.Map
}

// memory is what this process has done about one APIKey. It is replaced as a whole: one look
// at a time is made at an APIKey, and the watch that sees it go reads what that has left.
type memory struct {
	// told are the IDs of keys whose end was told: a write that nobody can make would have
	// it told again and again.
	told sets.Set[string]
	// released: the finalizer was taken off, and the cache may still show the APIKey. The end
	// of its Secret comes first, and would have it released once more.
	released bool
	// removed: the Secrets were deleted, for the APIKey is.
	removed bool
	// repairs are what was written into its Secret.
	repairs lifecycle.Repairs
}

// recall returns what is remembered of an APIKey; it is not kept.
func (r *Reconciler) recall(uid types.UID) memory {
	if m, ok := r.memories.Load(uid); ok {
		return m.(memory)
	}
	return memory{}
}

// remember changes the memory of an APIKey, which is kept until it is seen to be gone.
func (r *Reconciler) remember(uid types.UID, change func(*memory)) memory {
	m := r.recall(uid)
	m.told = m.told.Clone()
	change(&m)
	r.memories.Store(uid, m)
	return m
}

// Reconcile looks at one APIKey, and does what is to be done.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	key := &v1alpha1.APIKey{}
	if err := r.Get(ctx, request.NamespacedName, key); err != nil {
		r.courtesy.Forget(request.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if canWait(key, r.Clock.Now()) && r.courtesy.GivesWay(request.NamespacedName) {
		return Later(), nil
	}
	l := &look{Reconciler: r, held: map[string]keys.Plaintext{}}
	defer l.free()
	plan, err := l.run(ctx, key)
	switch {
	case apierrors.IsConflict(err):
		// It met a newer object, which is ordinary.
		return ctrl.Result{RequeueAfter: conflictRetry}, nil
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("reconcile APIKey: %w", err)
	}
	r.Waiters.Keep(request.NamespacedName, purposes(plan.Waits)...)
	return resultOf(key, &plan), nil
}

// resultOf is when the next look comes, and with which priority. A requeue keeps that of this
// look, which is right for the end of a key only: what is due later is due like all else.
func resultOf(key *v1alpha1.APIKey, plan *lifecycle.Plan) ctrl.Result {
	result := ctrl.Result{RequeueAfter: plan.Again}
	if len(plan.Waits) == 0 && key.DeletionTimestamp.IsZero() && !key.Spec.Suspend {
		result.Priority = ptr.To(0)
	}
	return result
}

// look is one look at one APIKey.
type look struct {
	*Reconciler
	facts lifecycle.Facts
	// restored: the APIKey is from a backup, and its stamp is, too.
	restored bool
	// terms are the revisions of what the key is accepted by.
	terms registry.Terms
	// held are the keys that can be written into a Secret, by key ID.
	held map[string]keys.Plaintext
	// claimed are the hashes that are reserved until its end.
	claimed []keys.Digest
}

// run decides and acts until nothing is left to do, and returns the Plan that says so.
func (l *look) run(ctx context.Context, key *v1alpha1.APIKey) (lifecycle.Plan, error) {
	if err := l.observe(ctx, key); err != nil {
		return lifecycle.Plan{}, err
	}
	for range maxSteps {
		plan := lifecycle.Decide(&l.facts)
		var err error
		switch {
		case plan.Asks():
			err = l.answer(ctx, &plan.Ask)
		case plan.Step != lifecycle.StepNone:
			err = l.take(ctx, &plan)
		default:
			return plan, l.account(ctx)
		}
		if err != nil {
			return lifecycle.Plan{}, err
		}
	}
	return lifecycle.Plan{}, errors.New("no end of decisions: report this as a bug")
}

func purposes(waits []lifecycle.Purpose) []string {
	names := make([]string, 0, len(waits))
	for _, wait := range waits {
		names = append(names, string(wait.Kind)+" "+wait.Of)
	}
	return names
}

// forget drops what this process remembers of an APIKey that is seen to be gone, even when
// its finalizer was taken off by hand.
func (r *Reconciler) forget(key client.Object) {
	r.Escrow.Drop(key.GetUID())
	r.memories.Delete(key.GetUID())
	r.Unwritten.Forget(key.GetUID())
	r.Waiters.Done(client.ObjectKeyFromObject(key))
}
