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
	"k8s.io/utils/clock"
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
	// ConflictRetry is when a write is tried again that met a newer object; the cache shows
	// that object within milliseconds.
	ConflictRetry = 10 * time.Millisecond
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
	// Usage decides on retirement, and Rollout: how far those restarts of consumers have come
	// that the current key asks for.
	Usage   UsageReader
	Rollout func(*v1alpha1.APIKey) lifecycle.Rollout
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

	// courtesy is for work that can wait, and revocations for what cannot.
	courtesy, revocations *Courtesy
	// memories have, by UID, what this process has done about an APIKey and no object says. One
	// look at a time is made at an APIKey, and the watch that sees it go reads what that has left.
	memories sync.Map
	// claims has the hashes that are becoming versions, for the milliseconds of the write
	// that says so.
	claims sync.Map
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
		return ctrl.Result{RequeueAfter: ConflictRetry}, nil
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("reconcile APIKey: %w", err)
	}
	var waits []string
	for _, wait := range plan.Waits {
		waits = append(waits, nameOf(wait))
	}
	r.Waiters.Keep(request.NamespacedName, waits...)
	return resultOf(key, &plan), nil
}

// look is one look at one APIKey.
type look struct {
	*Reconciler
	facts lifecycle.Facts
	// restored: the APIKey is from a backup, and its stamp is, too.
	restored bool
	// told are the IDs of keys whose end was told: a write that nobody can make would have
	// it told again and again.
	told []string
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

func nameOf(wait lifecycle.Purpose) string { return string(wait.Kind) + " " + wait.Of }

// memory is what a look leaves to the next.
type memory struct {
	told              []string
	released, removed bool
	repairs           lifecycle.Repairs
}

// recall returns what is remembered of an APIKey.
func (r *Reconciler) recall(uid types.UID) (m memory) {
	if known, ok := r.memories.Load(uid); ok {
		m, _ = known.(memory)
	}
	return m
}

// remember has the next look know what this one has done, until the APIKey is seen to be gone.
func (l *look) remember() {
	l.memories.Store(l.facts.Key.UID, memory{l.told, l.facts.Released, l.facts.Removed, l.facts.Repairs})
}
