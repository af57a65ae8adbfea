// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// OrganizationReconciler says in each Organization's status how it stands. What
// an Organization does to its keys is the APIKeyReconciler's.
type OrganizationReconciler struct {
	client.Client
	Clock clock.PassiveClock
}

// SetupWithManager has mgr call Reconcile for each Organization that changes.
func (r *OrganizationReconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("organization").
		For(&v1alpha1.Organization{}, builder.WithPredicates(specChanged())).
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
	before := organization.DeepCopy()
	found := organizationFinding(organization)
	now := r.Clock.Now()
	status := &organization.Status
	status.ObservedGeneration = organization.Generation
	status.ID = organization.EffectiveID()
	setConditionOn(&status.Conditions, v1alpha1.ConditionReady, found, organization.Generation, now)
	if found.stalled {
		setConditionOn(&status.Conditions, v1alpha1.ConditionStalled, finding{ok: true, reason: found.reason, message: found.message}, organization.Generation, now)
	} else {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionStalled)
	}
	if equality.Semantic.DeepEqual(before.Status, organization.Status) {
		return ctrl.Result{}, nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Status().Patch(ctx, organization, patch); err != nil {
		return retry(fmt.Errorf("write status of Organization: %w", err))
	}
	return ctrl.Result{}, nil
}

// organizationFinding decides how an Organization stands.
func organizationFinding(organization *v1alpha1.Organization) finding {
	if _, err := metav1.LabelSelectorAsSelector(organization.Spec.Namespaces.Selector); err != nil {
		return stuck(v1alpha1.ReasonInvalidSelector,
			fmt.Sprintf("spec.namespaces.selector cannot be read, so it permits no namespace: %v", err))
	}
	if organization.Spec.Suspend {
		return stuck(v1alpha1.ReasonSuspended, "spec.suspend is true: each auth server refuses every key of the organization from when it learns of that, until it is false")
	}
	return good(v1alpha1.ReasonReady, "namespaces that spec.namespaces permits may have keys")
}
