// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package restart restarts the workloads that take a Secret only when they start, once for
// each key, and says how far their rollouts have come. It decides nothing about a key.
//
// No watch tells of rollouts: a cache of all workloads would be far more than the few looks
// that a rotation costs.
package restart

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/controllers/apikey"
	"github.com/hexcovery/apikey-operator/internal/events"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
)

const (
	// lookSoon is how often a rollout is looked at in its first minutes, and lookLater from
	// then on.
	lookSoon, lookLater = 10 * time.Second, time.Minute
	// soon is how long those first minutes are.
	soon = 10 * time.Minute
	// afterLoss is how long after a key that was lost its consumers are restarted, for
	// instance because the right to do so was given by then.
	afterLoss = time.Hour
)

// Reconciler restarts the consumers of APIKeys whose key was replaced.
type Reconciler struct {
	client.Client
	// Live reads workloads, of which there is no cache.
	Live   client.Reader
	Clock  clock.PassiveClock
	Events events.Writer

	// records has what was done after an APIKey's last rotation, by UID, while there is
	// anything to restart. A record is replaced as a whole.
	records sync.Map
	// courtesy has a namespace with many large workloads delay the restarts of another by one
	// look, and not by all of its own.
	courtesy *apikey.Courtesy
	// changed has the APIKeys of which a rollout has come further.
	changed chan event.GenericEvent
}

// record is what this process has done after one rotation. It has what the API server
// cannot tell: that a workload was annotated although the annotation is gone.
type record struct {
	// keyID is the current key's: another one begins anew.
	keyID string
	// patched are the workloads that were annotated. None is annotated twice: a tool that
	// takes the annotation away has restarted the pods by that, and the two would go on
	// restarting them in turns.
	patched sets.Set[string]
	// told are the complaints that there were events for.
	told sets.Set[string]
	// finished is the generation of the APIKey whose restarts came to their end: what
	// starts later has the new key.
	finished int64
	rollout  lifecycle.Rollout
}

// New returns a Reconciler, which has to be set up.
func New(c client.Client, live client.Reader, clock clock.PassiveClock) *Reconciler {
	return &Reconciler{Client: c, Live: live, Clock: clock, courtesy: apikey.NewCourtesy(clock), changed: make(chan event.GenericEvent)}
}

// SetupWithManager registers the reconciler. It looks at the workloads of one APIKey at a
// time, for the memory that it takes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.Events = events.Writer{Recorder: mgr.GetEventRecorder(apikey.FieldOwner)}
	restarts := predicate.NewPredicateFuncs(func(obj client.Object) bool {
		key, ok := obj.(*v1alpha1.APIKey)
		return ok && key.Spec.Rotation.Restart.Policy != ""
	})
	return ctrl.NewControllerManagedBy(mgr).
		Named("restart").
		WithOptions(controller.Options{MaxConcurrentReconciles: 1}).
		For(&v1alpha1.APIKey{}, builder.WithPredicates(restarts)).
		Watches(&v1alpha1.APIKey{}, handler.Funcs{DeleteFunc: r.gone}).
		Complete(r)
}

// gone forgets an APIKey.
func (r *Reconciler) gone(_ context.Context, e event.DeleteEvent, _ apikey.Queue) {
	r.records.Delete(e.Object.GetUID())
	r.courtesy.Forget(client.ObjectKeyFromObject(e.Object))
}

// Changes has those reconciled whose rollouts have come further.
func (r *Reconciler) Changes() source.Source {
	return source.Channel(r.changed, &handler.EnqueueRequestForObject{})
}

// Rollout is how far the restarts have come that the current key asks for.
func (r *Reconciler) Rollout(key *v1alpha1.APIKey) lifecycle.Rollout {
	v := replacing(key, r.Clock.Now())
	if v == nil {
		return lifecycle.Rollout{}
	}
	rec := r.recordOf(key.UID, v.ID)
	if rec.finished == key.Generation {
		return lifecycle.Rollout{}
	}
	return rec.rollout
}

// recordOf returns what was done for a key.
func (r *Reconciler) recordOf(uid types.UID, keyID string) record {
	if known, ok := r.records.Load(uid); ok {
		if rec, ok := known.(record); ok && rec.keyID == keyID {
			return rec
		}
	}
	return record{keyID: keyID, patched: sets.New[string](), told: sets.New[string](), rollout: lifecycle.Rollout{Unfinished: true}}
}

// Reconcile restarts what takes the Secret only when it starts, and finds out how far that
// has come.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	key := &v1alpha1.APIKey{}
	if err := r.Get(ctx, request.NamespacedName, key); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	v := replacing(key, r.Clock.Now())
	if v == nil || !key.DeletionTimestamp.IsZero() || !key.StatusIsOwn() || key.Status.Acceptance != v1alpha1.AcceptanceAccepted {
		r.records.Delete(key.UID)
		return ctrl.Result{}, nil
	}
	p := &pass{Reconciler: r, record: r.recordOf(key.UID, v.ID), key: key}
	if key.Status.KeyID != v.ID || p.finished == key.Generation {
		// All is done, or a rotation was undone a moment ago: what starts now would take the key
		// that is on its way out. The write of the status that says otherwise comes here.
		return ctrl.Result{}, nil
	}
	if r.courtesy.GivesWay(request.NamespacedName) {
		return apikey.Later(), nil
	}
	if key.Spec.Rotation.Restart.Policy == v1alpha1.RestartNamed {
		p.restartNamed(ctx)
	} else {
		p.restartDetected(ctx)
	}
	if len(p.restarted) > 0 {
		r.Events.Normal(key, v1alpha1.EventConsumersRestarted, "Restart",
			"Restarting the consumers of Secret %s that read it only when they start, for key %s: %s.",
			key.SecretName(), v.ID, listed(p.restarted))
	}
	finished := p.note(ctx)
	switch {
	case finished:
		return ctrl.Result{}, nil
	case v.ActivationTime != nil && r.Clock.Since(v.ActivationTime.Time) > soon:
		return ctrl.Result{RequeueAfter: lookLater, Priority: ptr.To(0)}, nil
	}
	return ctrl.Result{RequeueAfter: lookSoon, Priority: ptr.To(0)}, nil
}

// note remembers how far the rollouts have come, and has the APIKey looked at if that has
// changed.
func (p *pass) note(ctx context.Context) (finished bool) {
	before := p.rollout
	p.rollout, finished = p.seen(), len(p.waits)+len(p.complaints) == 0
	if finished {
		p.finished = p.key.Generation
	}
	p.records.Store(p.key.UID, p.record)
	if finished || p.rollout != before {
		select {
		case p.changed <- event.GenericEvent{Object: p.key}:
		case <-ctx.Done():
		}
	}
	return finished
}

// replacing returns the current key of an APIKey that has consumers restarted, while one that
// it has replaced may still be in use: that is retiring, or was lost not long ago, as when
// spec.revokedKeyIDs names it or its Secret was touched, so that what took it has a dead key.
// Otherwise it returns nil.
func replacing(key *v1alpha1.APIKey, now time.Time) *v1alpha1.KeyVersion {
	policy, v := key.Spec.Rotation.Restart.Policy, lifecycle.MintedIn(&key.Status, v1alpha1.VersionActive)
	if policy == "" || policy == v1alpha1.RestartNone || v == nil {
		return nil
	}
	lost := []v1alpha1.MintReason{v1alpha1.MintDrifted, v1alpha1.MintRestored, v1alpha1.MintRevoked}
	if slices.ContainsFunc(key.Status.Versions, func(v v1alpha1.KeyVersion) bool { return v.State == v1alpha1.VersionRetiring }) ||
		slices.Contains(lost, v.MintReason) && v.ActivationTime != nil && now.Sub(v.ActivationTime.Time) < afterLoss {
		return v
	}
	return nil
}
