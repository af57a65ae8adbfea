// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package organization

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestHowAnOrganizationStands(t *testing.T) {
	unreadable := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}}
	for name, row := range map[string]struct {
		change  func(*v1alpha1.Organization)
		elder   string
		applied application
		reason  string
		ready   metav1.ConditionStatus
		// beside is Reconciling or Stalled; "" for neither.
		beside string
	}{
		"as it is to be": {func(*v1alpha1.Organization) {}, "", application{complete: true}, v1alpha1.ReasonReady, metav1.ConditionTrue, ""},
		"suspended, as it was asked for": {
			func(o *v1alpha1.Organization) { o.Spec.Suspend = true }, "", application{complete: true}, v1alpha1.ReasonSuspended, metav1.ConditionTrue, ""},
		"suspended, and not applied everywhere": {func(o *v1alpha1.Organization) { o.Spec.Suspend = true },
			"", application{slow: true, waiting: "Waiting"}, v1alpha1.ReasonApplying, metav1.ConditionFalse, v1alpha1.ConditionReconciling},
		"with a selector that cannot be read": {func(o *v1alpha1.Organization) { o.Spec.Namespaces.Selector = unreadable },
			"", application{complete: true}, v1alpha1.ReasonInvalidSelector, metav1.ConditionFalse, v1alpha1.ConditionStalled},
		"with the id of an older one": {func(*v1alpha1.Organization) {}, "elder",
			application{complete: true}, v1alpha1.ReasonDuplicateID, metav1.ConditionFalse, v1alpha1.ConditionStalled},
		"refused": {func(o *v1alpha1.Organization) { o.Refusal = "too large" },
			"", application{complete: true}, v1alpha1.ReasonInvalidObject, metav1.ConditionFalse, v1alpha1.ConditionStalled},
		"refused, and not applied everywhere": {func(o *v1alpha1.Organization) { o.Refusal = "too large" },
			"", application{slow: true}, v1alpha1.ReasonInvalidObject, metav1.ConditionFalse, v1alpha1.ConditionStalled},
	} {
		t.Run(name, func(t *testing.T) {
			o := &v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: "acme", Generation: 3}}
			o.Spec.Namespaces.Selector = &metav1.LabelSelector{}
			row.change(o)
			judge(o, row.elder, row.applied, noon)
			ready := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady)
			if ready.Reason != row.reason || ready.Status != row.ready || ready.ObservedGeneration != 3 {
				t.Errorf("Ready is %+v", ready)
			}
			for _, beside := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
				if got := meta.IsStatusConditionTrue(o.Status.Conditions, beside); got != (beside == row.beside) {
					t.Errorf("%s is %t", beside, got)
				}
			}
			if applied := o.Status.AppliedGeneration == 3; applied != row.applied.complete {
				t.Errorf("applied generation %d", o.Status.AppliedGeneration)
			}
			before := o.DeepCopy()
			if judge(o, row.elder, row.applied, noon.Add(time.Hour)); !equality.Semantic.DeepEqual(before, o) {
				t.Error("judged twice it is another")
			}
		})
	}
}
