// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/equality"
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
	"github.com/hexcovery/apikey-operator/internal/registry"
)

// OrganizationReconciler says in each Organization's status how it stands, and
// whether every auth server goes by it. What an Organization does to the permission
// of its keys is the APIKeyReconciler's.
type OrganizationReconciler struct {
	client.Client
	Clock   clock.PassiveClock
	Members *registry.Members
	Waiters *registry.Waiters
	Events  eventWriter
	// Unwritten has what the API server refuses to store.
	Unwritten *unwritten
}

// SetupWithManager has mgr call Reconcile for each Organization that changes, or
// that waits for what a Lease says.
func (r *OrganizationReconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.Events = eventWriter{recorder: mgr.GetEventRecorder(FieldOwner)}
	return ctrl.NewControllerManagedBy(mgr).
		Named("organization").
		For(&v1alpha1.Organization{}, builder.WithPredicates(specChanged())).
		Watches(&v1alpha1.Organization{}, handler.Funcs{DeleteFunc: r.gone}).
		Watches(&coordinationv1.Lease{}, wakeUp(r.Members, r.Waiters)).
		Complete(r)
}

// Reconcile writes one Organization's status, if it has changed.
func (r *OrganizationReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	organization := &v1alpha1.Organization{}
	if err := r.Get(ctx, request.NamespacedName, organization); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !organization.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	enforcement, err := r.enforce(ctx, organization)
	if err != nil {
		return retry(err)
	}
	if enforcement.untold {
		return ctrl.Result{RequeueAfter: registry.Patience}, nil
	}
	before := organization.DeepCopy()
	judgeOrganization(organization, enforcement.finding, r.Clock.Now())
	if !equality.Semantic.DeepEqual(before.Status, organization.Status) {
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		if err := r.Status().Patch(ctx, organization, patch); err != nil {
			r.Unwritten.failed(ctx, r.Events, organization, err)
			return retry(fmt.Errorf("write status of Organization: %w", err))
		}
		r.tellRefusal(ctx, before, organization)
	}
	r.Unwritten.forget(organization)
	if enforcement.reason != "" {
		return ctrl.Result{RequeueAfter: registry.Patience}, nil
	}
	return ctrl.Result{}, nil
}

// enforcement says whether some auth server may go by an earlier spec of an
// Organization. Its zero value means that none does.
type enforcement struct {
	finding
	// untold: it began a moment ago, and the status need not say so.
	untold bool
}

// enforce waits until every auth server goes by organization as it is now: the
// change may have suspended it, or taken a scope away.
func (r *OrganizationReconciler) enforce(ctx context.Context, organization *v1alpha1.Organization) (enforcement, error) {
	name := client.ObjectKeyFromObject(organization)
	if enforced(organization) {
		r.Waiters.Done(name)
		return enforcement{}, nil
	}
	purpose := fmt.Sprintf("enforce %s, generation %d", organization.UID, organization.Generation)
	wait := r.Waiters.Wait(name, purpose, organization.ResourceVersion)
	patient := r.Clock.Since(wait.Since) < registry.Patience
	still := enforcement{finding: waiting(v1alpha1.ReasonRevoking, "waiting for the auth servers to go by the changed spec"), untold: patient}
	if !wait.Worthwhile {
		return still, nil
	}
	found, err := r.Members.Enforcement(ctx, wait)
	switch {
	case err != nil:
		return enforcement{}, err
	case found.Complete():
		r.Waiters.Done(name)
		return enforcement{}, nil
	}
	still.message = fmt.Sprintf("waiting for %d of %d auth servers to go by the changed spec: %s", len(found.Missing), found.Of, registry.Describe(found.Missing))
	return still, nil
}

// enforced reports whether the status says that every auth server goes by
// organization as it is now.
func enforced(organization *v1alpha1.Organization) bool {
	return organization.Status.ObservedGeneration == organization.Generation &&
		!meta.IsStatusConditionTrue(organization.Status.Conditions, v1alpha1.ConditionReconciling)
}

func (r *OrganizationReconciler) gone(_ context.Context, e event.DeleteEvent, _ queue) {
	r.Waiters.Done(client.ObjectKeyFromObject(e.Object))
	r.Unwritten.forget(e.Object)
}

// tellRefusal tells, once, that an Organization is refused.
func (r *OrganizationReconciler) tellRefusal(ctx context.Context, before, after *v1alpha1.Organization) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	is := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionReady)
	if is.Reason != v1alpha1.ReasonInvalidObject || was != nil && was.Reason == is.Reason {
		return
	}
	r.Events.refused(after, is)
	log.FromContext(ctx).Info("object refused", "refusal", is.Message)
}

// judgeOrganization derives the status.
func judgeOrganization(organization *v1alpha1.Organization, enforcement finding, now time.Time) {
	found := organizationFinding(organization)
	status := &organization.Status
	status.ObservedGeneration = organization.Generation
	if organization.Refusal == "" {
		status.ID = organization.EffectiveID()
	}
	set := func(condition string, found finding) {
		setConditionOn(&status.Conditions, condition, found, organization.Generation, now)
	}
	set(v1alpha1.ConditionReady, found)
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionReconciling)
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionStalled)
	switch {
	case enforcement.reason != "":
		set(v1alpha1.ConditionReconciling, finding{ok: true, reason: enforcement.reason, message: enforcement.message})
	case found.stalled:
		set(v1alpha1.ConditionStalled, finding{ok: true, reason: found.reason, message: found.message})
	}
}

// organizationFinding decides how an Organization stands.
func organizationFinding(organization *v1alpha1.Organization) finding {
	if organization.Refusal != "" {
		return stuck(v1alpha1.ReasonInvalidObject, organization.Refusal)
	}
	if _, err := metav1.LabelSelectorAsSelector(organization.Spec.Namespaces.Selector); err != nil {
		return stuck(v1alpha1.ReasonInvalidSelector,
			fmt.Sprintf("spec.namespaces.selector cannot be read, so it permits no namespace: %v", err))
	}
	if organization.Spec.Suspend {
		return stuck(v1alpha1.ReasonSuspended, "spec.suspend is true: every key of the organization is refused until it is false")
	}
	return good(v1alpha1.ReasonReady, "namespaces that spec.namespaces permits may have keys")
}
