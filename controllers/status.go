// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/plain"
)

// writeStatus judges the pass and writes the status, if it differs from what the
// API server has. The write is conditional on the APIKey that the pass saw.
func (r *APIKeyReconciler) writeStatus(ctx context.Context, p *pass) error {
	judge(p)
	if !r.account(p) {
		return nil
	}
	// The base must differ in status alone.
	base := p.key.DeepCopy()
	base.Status = *p.observed.Status.DeepCopy()
	if err := r.Status().Patch(ctx, p.key, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
		r.Unwritten.failed(ctx, r.Events, p.key, err)
		return fmt.Errorf("write status: %w", err)
	}
	r.tell(ctx, p)
	r.warnOfExpiry(p)
	p.observed = p.key.DeepCopy()
	return nil
}

// judge derives every condition from what the phases found.
func judge(p *pass) {
	if !p.key.DeletionTimestamp.IsZero() {
		judgeDeletion(p)
		return
	}
	p.key.Status.UID = p.key.UID
	p.key.Status.ObservedGeneration = p.key.Generation
	if p.current() == nil {
		p.key.Status.KeyID, p.key.Status.SecretRef = "", nil
	}
	judgeExpiry(p)
	setCondition(p, v1alpha1.ConditionPermitted, p.permission)
	if p.enforcement.reason == "" {
		// The observedGeneration of this condition is the latest that every auth server
		// goes by.
		setCondition(p, v1alpha1.ConditionRegistered, registrationOf(p))
	}
	setCondition(p, v1alpha1.ConditionPublished, publicationOf(p))
	if p.considered || p.turnover.reason != "" {
		judgeTurnover(p)
	}
	judgeImported(p)
	setSummary(p, summary(p))
}

// judgeTurnover says how it stands with rotation, where there is any.
func judgeTurnover(p *pass) {
	found := p.turnover
	if found.reason == "" && !equality.Semantic.DeepEqual(p.key.Spec.Rotation, v1alpha1.Rotation{}) {
		found = good(v1alpha1.ReasonUpToDate, "no key that was replaced works any more")
	}
	if found.reason == "" {
		meta.RemoveStatusCondition(&p.key.Status.Conditions, v1alpha1.ConditionRotated)
		return
	}
	setCondition(p, v1alpha1.ConditionRotated, found)
}

// judgeDeletion says who a deletion waits for. A deletion that takes the usual
// milliseconds changes nothing.
func judgeDeletion(p *pass) {
	if p.revocation.reason == "" {
		return
	}
	setCondition(p, v1alpha1.ConditionRegistered, p.revocation)
	if p.publication.reason != "" {
		setCondition(p, v1alpha1.ConditionPublished, p.publication)
	}
	setSummary(p, p.revocation)
}

// registrationOf is the pass's word on registration or, where it did not come so
// far, what the versions say.
func registrationOf(p *pass) finding {
	switch {
	case p.current() == nil && p.registration.reason == "":
		return waiting(v1alpha1.ReasonNotRegistered, "no key is registered")
	case p.withdrawal.reason != "":
		return p.withdrawal
	case p.registration.reason != "":
		return p.registration
	case p.active() != nil:
		return good(v1alpha1.ReasonRegistered, "the auth servers know the key")
	}
	return waiting(v1alpha1.ReasonWaitingForAuthServers, "waiting for the auth servers to learn of the key")
}

// publicationOf is the pass's word on the Secret or, where it did not come so
// far, what the versions say.
func publicationOf(p *pass) finding {
	active := p.active()
	switch {
	case p.publication.reason != "":
		return p.publication
	case active != nil:
		return good(v1alpha1.ReasonPublished, fmt.Sprintf("Secret %q holds key %s", p.key.SecretName(), active.ID))
	}
	return waiting(v1alpha1.ReasonNotPublished, "the key is published when the auth servers know it")
}

// summary is the first thing that keeps the key from working.
func summary(p *pass) finding {
	for _, found := range []finding{p.permission, p.dormancy, p.publication, registrationOf(p), publicationOf(p), p.pinning} {
		if found.reason != "" && !found.ok {
			return found
		}
	}
	return good(v1alpha1.ReasonReady, fmt.Sprintf("Secret %q holds key %s, and the auth servers know it", p.key.SecretName(), p.key.Status.KeyID))
}

// setSummary sets Ready, and what kstatus reads beside it.
func setSummary(p *pass, found finding) {
	setCondition(p, v1alpha1.ConditionReady, found)
	switch {
	case p.withdrawal.reason == v1alpha1.ReasonRevoking:
		found = p.withdrawal
	case found.ok && p.enforcement.reason == "" && p.imports.reason != "":
		// The APIKey's own key works. What else the spec asks for does not yet, or cannot.
		found = p.imports
	}
	// Each is set once, or its time would be that of the last look.
	underWay := found
	if p.enforcement.reason != "" {
		underWay = p.enforcement
	}
	setPresence(p, v1alpha1.ConditionReconciling, !underWay.ok && !underWay.stalled, underWay)
	setPresence(p, v1alpha1.ConditionStalled, found.stalled, found)
}

// setPresence has a condition be True, or be absent.
func setPresence(p *pass, conditionType string, present bool, found finding) {
	if !present {
		meta.RemoveStatusCondition(&p.key.Status.Conditions, conditionType)
		return
	}
	setCondition(p, conditionType, finding{ok: true, reason: found.reason, message: found.message})
}

func setCondition(p *pass, conditionType string, found finding) {
	setConditionOn(&p.key.Status.Conditions, conditionType, found, p.key.Generation, p.now)
}

func setConditionOn(conditions *[]metav1.Condition, conditionType string, found finding, generation int64, now time.Time) {
	status := metav1.ConditionFalse
	if found.ok {
		status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type:               conditionType,
		Status:             status,
		ObservedGeneration: generation,
		LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
		Reason:             found.reason,
		// Some quote what others have written, or what the API server has answered.
		Message: plain.Text(found.message),
	})
}
