// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

// acknowledge waits until every live auth server knows the hash: whoever gets
// the key then can use it at once, everywhere.
func (r *APIKeyReconciler) acknowledge(ctx context.Context, p *pass) (next bool, err error) {
	version := p.current()
	if version.State == v1alpha1.VersionActive {
		p.registration = good(v1alpha1.ReasonRegistered, "the auth servers know the key")
		// The answer to the write that said so was lost, so nobody was told yet.
		_, p.published = r.Escrow.Get(p.key.UID, version.ID)
		return true, nil
	}
	p.registration = waiting(v1alpha1.ReasonWaitingForAuthServers, "waiting for the auth servers to learn of the key")
	if !meta.IsStatusConditionTrue(p.observed.Status.Conditions, v1alpha1.ConditionPermitted) {
		// Auth servers accept no key that is not seen to be permitted, so what they
		// have to learn of is this write, and not an earlier one.
		if err := r.writeStatus(ctx, p); err != nil {
			return false, err
		}
	}
	// The generation is part of the purpose: what a change of the spec allows again
	// has to be learned of anew.
	purpose := fmt.Sprintf("register %s, generation %d", version.ID, p.key.Generation)
	p.waits = true
	revision, worthwhile := r.Waiters.Wait(p.identity(), purpose, p.observed.ResourceVersion)
	if !worthwhile {
		p.lookAgain(registry.Patience)
		return false, nil
	}
	survey, err := r.Members.Survey(ctx)
	if err != nil {
		return false, err
	}
	missing, live := survey.Registration(revision, p.organization.ResourceVersion)
	switch {
	case live == 0:
		p.registration = waiting(v1alpha1.ReasonNoAuthServer,
			"no auth server is running, so nothing could accept the key: deploy the auth server; the key is published as soon as one is ready")
	case len(missing) == 0:
		p.waits = false
		p.registration = good(v1alpha1.ReasonRegistered, "the auth servers know the key")
		return true, nil
	case r.impatient(p):
		p.registration.message = fmt.Sprintf("waiting for %d of %d auth servers: %s", len(missing), live, registry.Describe(missing))
	}
	p.lookAgain(registry.Patience)
	return false, nil
}

// impatient reports whether the wait has lasted so long that the status should
// name who is waited for. Most waits last milliseconds and cost no write.
func (r *APIKeyReconciler) impatient(p *pass) bool {
	since, ok := r.Waiters.Since(p.identity())
	return ok && p.now.Sub(since) >= registry.Patience
}
