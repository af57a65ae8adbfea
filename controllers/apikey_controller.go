// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/usage/gather"
)

const (
	// conflictRecheck is how often something is looked at that no watch tells of.
	conflictRecheck = 15 * time.Second
	// conflictRetry is when a write is tried again that met a newer object; the
	// cache shows that object within milliseconds.
	conflictRetry = 10 * time.Millisecond
	// maxRetryDelay is the most that an error delays the next pass: after an outage
	// everything goes on within that time.
	maxRetryDelay = 30 * time.Second
	// passTimeout ends a pass whose requests hang, and frees its worker.
	passTimeout = time.Minute
)

// APIKeyReconciler brings each APIKey to a working key in a Secret.
type APIKeyReconciler struct {
	// Client reads from the cache and reads its own writes there. The cache holds
	// Secrets as cachedSecret leaves them.
	client.Client
	// Live reads from the API server.
	Live client.Reader

	Clock   clock.PassiveClock
	Members *registry.Members
	Waiters *registry.Waiters
	// Retirements are the waits for versions that are to be dropped while their APIKey
	// lives on.
	Retirements *registry.Waiters
	// Imports are the waits for keys of spec.importedKeys that are to be learned of.
	Imports *registry.Waiters
	// Usage says what keys are used for; it decides on retirement.
	Usage UsageReader
	// Escrow holds keys between their registration and their publication.
	Escrow *keys.Escrow
	Events eventWriter
	Audit  *audit.Recorder
	// Gatherer is what has gathered it, and says when it is to be written down.
	Gatherer *gather.Gatherer
	// Unwritten has what the API server refuses to store.
	Unwritten *unwritten
	// Refusals tells of APIKeys that were never permitted; nil for a line about each.
	Refusals *audit.Refusals

	// releasing has the UIDs of APIKeys whose finalizer was taken off and that the
	// cache still shows: the end of their Secret comes first and would have them
	// released once more. It holds each for the milliseconds until it is seen gone.
	releasing sync.Map
	// unpublished has the UIDs of APIKeys that are being deleted and whose Secret this
	// process has deleted, until each is seen gone.
	unpublished sync.Map
	// importing has the hashes that are becoming versions, by which of them: for the
	// milliseconds of the write that says so.
	importing sync.Map
	// courtesy has bulk work of a namespace come after that of others.
	courtesy *courtesy
	// looks are the turns in which workloads are looked at.
	looks turns
	// restarts has, by UID, what this process has restarted after an APIKey's last
	// rotation, while a key that it replaced is retiring.
	restarts sync.Map
	// repairs has how often each Secret was written as it had been before.
	repairs *repairs
	// deciders has, by UID and key ID, who wanted that a version ends, until it has.
	deciders sync.Map
	// endsTold has, by UID, the IDs of versions whose end this process has written an audit
	// line about, until the status has none that is Revoked.
	endsTold sync.Map
	// resuming has, by the UID of each APIKey whose key is about to work again, the
	// reason for which it had stopped.
	resuming sync.Map
}

// Reconcile makes one pass over one APIKey.
func (r *APIKeyReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	key := &v1alpha1.APIKey{}
	if err := r.Get(ctx, request.NamespacedName, key); err != nil {
		r.courtesy.forget(request.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	now := r.Clock.Now()
	if r.courtesy.givesWay(key, now) {
		return ctrl.Result{RequeueAfter: time.Millisecond, Priority: ptr.To(handler.LowPriority)}, nil
	}
	p := &pass{key: key, observed: key.DeepCopy(), now: now}
	p.disclaim()

	phases := []phase{r.permit, r.reap, r.forfeit, r.withdraw, r.takeUp, r.inspect, r.expel, r.register, r.acknowledge, r.publish, r.rotate, r.retire}
	if !key.DeletionTimestamp.IsZero() {
		phases = []phase{r.revoke}
	}
	for _, phase := range phases {
		next, err := phase(ctx, p)
		if err != nil {
			return retry(err)
		}
		if !next {
			break
		}
	}
	if !p.waits {
		r.Waiters.Done(p.identity())
	}
	if p.released || p.untold && p.publication.ok && !p.moved() {
		return p.result(), nil
	}
	if err := r.writeStatus(ctx, p); err != nil {
		return retry(err)
	}
	r.Unwritten.forget(p.key)
	r.announce(ctx, p)
	return p.result(), nil
}

// retry tells a write that met a newer object, which is ordinary, from an error.
func retry(err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: conflictRetry}, nil
	}
	return ctrl.Result{}, fmt.Errorf("reconcile APIKey: %w", err)
}
