// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package organization says in each Organization's status how it stands, and whether every
// auth server applies it. What an Organization does to the permission of its keys is package
// apikey's.
package organization

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/controllers/apikey"
	"github.com/hexcovery/apikey-operator/internal/events"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
	"github.com/hexcovery/apikey-operator/internal/permission"
	"github.com/hexcovery/apikey-operator/internal/refusal"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

// Reconciler writes the status of Organizations.
type Reconciler struct {
	client.Client
	Clock   clock.PassiveClock
	Members *registry.Members
	Waiters *registry.Waiters
	Events  events.Writer
	// Unwritten has what the API server refuses to store.
	Unwritten *refusal.Tracker
}

// SetupWithManager registers the reconciler and its watches: of Organizations, and of the
// Leases that say what auth servers have applied.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.Events = events.Writer{Recorder: mgr.GetEventRecorder(apikey.FieldOwner)}
	return ctrl.NewControllerManagedBy(mgr).
		Named("organization").
		For(&v1alpha1.Organization{}, builder.WithPredicates(apikey.OrganizationChanged())).
		Watches(&v1alpha1.Organization{}, handler.Funcs{DeleteFunc: r.gone}).
		Watches(&v1alpha1.Organization{}, handler.EnqueueRequestsFromMapFunc(r.withSameID), builder.WithPredicates(apikey.OrganizationChanged())).
		Watches(&coordinationv1.Lease{}, apikey.WakeUp(r.Members, r.Waiters)).
		Complete(r)
}

// Reconcile writes one Organization's status, if it has changed.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	organization := &v1alpha1.Organization{}
	if err := r.Get(ctx, request.NamespacedName, organization); err != nil || !organization.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	applied, err := r.applied(ctx, organization)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("reconcile Organization: %w", err)
	}
	result := ctrl.Result{}
	if !applied.complete {
		result.RequeueAfter = registry.Patience
		if !applied.slow {
			return result, nil
		}
	}
	elder, err := apikey.Elder(ctx, r.Client, organization)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("reconcile Organization: %w", err)
	}
	before := organization.DeepCopy()
	judge(organization, elder, applied, r.Clock.Now())
	if !equality.Semantic.DeepEqual(before.Status, organization.Status) {
		err = r.Status().Patch(ctx, organization, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		switch {
		case apierrors.IsConflict(err):
			return ctrl.Result{RequeueAfter: apikey.ConflictRetry}, nil
		case err != nil:
			if r.Unwritten.Failed(organization.UID, err) {
				r.Events.NotWritten(organization, err)
			}
			return ctrl.Result{}, fmt.Errorf("write status of Organization: %w", err)
		}
		r.emitRefusal(ctx, before, organization)
	}
	r.Unwritten.Forget(organization.UID)
	return result, nil
}

// application is how far auth servers have applied an Organization.
type application struct {
	complete, slow bool
	waiting        string // who for
}

// applied finds out whether every auth server applies organization as it is now: the change
// may have suspended it, or taken a scope away.
func (r *Reconciler) applied(ctx context.Context, organization *v1alpha1.Organization) (application, error) {
	name := client.ObjectKeyFromObject(organization)
	if organization.Status.AppliedGeneration == organization.Generation {
		r.Waiters.Done(name)
		return application{complete: true}, nil
	}
	purpose := fmt.Sprintf("%s, generation %d", organization.UID, organization.Generation)
	wait := r.Waiters.Wait(name, purpose, organization.ResourceVersion)
	r.Waiters.Keep(name, purpose)
	applied := application{slow: r.Clock.Since(wait.Since) >= registry.Patience}
	if !wait.Worthwhile {
		return applied, nil
	}
	found, err := r.Members.Enforcement(ctx, wait)
	if err != nil {
		return application{}, err
	}
	if applied.complete = found.Complete(); applied.complete {
		r.Waiters.Done(name)
	}
	applied.waiting = fmt.Sprintf("Waiting for %d of %d auth servers to apply generation %d: %s.",
		len(found.Missing), found.Of, organization.Generation, registry.Describe(found.Missing))
	return applied, nil
}

// withSameID has those reconciled that have the id of an Organization that was changed.
func (r *Reconciler) withSameID(ctx context.Context, obj client.Object) (requests []ctrl.Request) {
	organization, ok := obj.(*v1alpha1.Organization)
	if !ok {
		return nil
	}
	others, err := apikey.WithSameID(ctx, r.Client, organization)
	if err != nil {
		log.FromContext(ctx).Error(err, "enqueue Organizations with the same id")
	}
	for i := range others {
		requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&others[i])})
	}
	return requests
}

func (r *Reconciler) gone(_ context.Context, e event.DeleteEvent, _ apikey.Queue) {
	r.Waiters.Done(client.ObjectKeyFromObject(e.Object))
	r.Unwritten.Forget(e.Object.GetUID())
}

// emitRefusal tells, once, that an Organization is refused.
func (r *Reconciler) emitRefusal(ctx context.Context, before, after *v1alpha1.Organization) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	is := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionReady)
	refused := is.Reason == v1alpha1.ReasonInvalidObject || is.Reason == v1alpha1.ReasonDuplicateID
	if refused && (was == nil || was.Reason != is.Reason) {
		r.Events.Warning(after, is.Reason, "Permit", "%s", is.Message)
		log.FromContext(ctx).Info("object refused", "refusal", is.Message)
	}
}

// judge derives the status. elder is an older Organization that has the same id, or "".
func judge(organization *v1alpha1.Organization, elder string, applied application, now time.Time) {
	status, generation := &organization.Status, organization.Generation
	status.ObservedGeneration = generation
	if organization.Refusal == "" {
		status.ID = organization.EffectiveID()
	}
	if applied.complete {
		status.AppliedGeneration = generation
	}
	ready, reason, message := metav1.ConditionTrue, v1alpha1.ReasonReady, "Namespaces that spec.namespaces.selector matches may have keys."
	beside := "" // which condition stands beside Ready
	_, unreadable := permission.Of(&organization.Spec.Namespaces)
	switch {
	case organization.Refusal != "":
		ready, reason, message, beside = metav1.ConditionFalse, v1alpha1.ReasonInvalidObject, organization.Refusal, v1alpha1.ConditionStalled
	case !applied.complete:
		ready, reason, message, beside = metav1.ConditionFalse, v1alpha1.ReasonApplying, applied.waiting, v1alpha1.ConditionReconciling
	case elder != "":
		ready, reason, beside = metav1.ConditionFalse, v1alpha1.ReasonDuplicateID, v1alpha1.ConditionStalled
		message = fmt.Sprintf(
			"Organization %.100q is older and has the same id %.60q, so all keys of this one are refused. Delete one of the two.",
			elder, organization.EffectiveID())
	case unreadable != nil:
		ready, reason, beside = metav1.ConditionFalse, v1alpha1.ReasonInvalidSelector, v1alpha1.ConditionStalled
		message = fmt.Sprintf("No namespace is permitted: %v. Correct it.", unreadable)
	case organization.Spec.Suspend:
		reason, message = v1alpha1.ReasonSuspended, "spec.suspend is true: every key of the organization is refused until it is false."
	}
	lifecycle.SetCondition(&status.Conditions, v1alpha1.ConditionReady, ready, reason, message, generation, now)
	for _, condition := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		if condition == beside {
			lifecycle.SetCondition(&status.Conditions, condition, metav1.ConditionTrue, reason, message, generation, now)
		} else {
			meta.RemoveStatusCondition(&status.Conditions, condition)
		}
	}
}
