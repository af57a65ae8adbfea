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
// the key then can use it at once, everywhere. Of a key that they know already it
// waits until each goes by what its APIKey has become.
func (r *APIKeyReconciler) acknowledge(ctx context.Context, p *pass) (next bool, err error) {
	version := p.current()
	works := p.active() != nil && meta.IsStatusConditionTrue(p.observed.Status.Conditions, v1alpha1.ConditionRegistered)
	if works {
		p.registration = good(v1alpha1.ReasonRegistered, "the auth servers know the key")
		if version.State == v1alpha1.VersionActive {
			// The answer to the write that said so was lost, so nobody was told yet.
			_, p.published = r.Escrow.Get(p.key.UID, version.ID)
			p.publishedFor = version.MintReason
			return true, r.enforce(ctx, p)
		}
		p.postponeEnforcement()
		return r.learn(ctx, p, &p.turnover, waiting(v1alpha1.ReasonRotating, fmt.Sprintf("waiting for the auth servers to learn of key %s", version.ID)))
	}
	found := waiting(v1alpha1.ReasonWaitingForAuthServers, "waiting for the auth servers to learn of the key")
	if p.active() != nil {
		found.reason = v1alpha1.ReasonResuming
	}
	p.registration = found
	if !admitted(p.observed) {
		// Auth servers accept no key that is not seen to be permitted, or was taken
		// back, so what they have to learn of is this write, and not an earlier one.
		if err := r.writeStatus(ctx, p); err != nil {
			return false, err
		}
	}
	next, err = r.learn(ctx, p, &p.registration, found)
	if next {
		p.registration = good(v1alpha1.ReasonRegistered, "the auth servers know the key")
	}
	return next, err
}

// learn finds out whether every live auth server knows the current version, and notes
// in told what it found if not: unlearned, with the names after a while.
func (r *APIKeyReconciler) learn(ctx context.Context, p *pass, told *finding, unlearned finding) (learned bool, err error) {
	*told = unlearned
	// The generation is part of the purpose: what a change of the spec allows again
	// has to be learned of anew.
	purpose := fmt.Sprintf("register %s, generation %d", p.current().ID, p.key.Generation)
	wait := r.await(p, purpose)
	if !wait.Worthwhile {
		p.lookAgain(registry.Patience)
		return false, nil
	}
	found, err := r.Members.Registration(ctx, wait, p.terms())
	if err != nil {
		return false, err
	}
	switch {
	case found.Of == 0:
		*told = waiting(v1alpha1.ReasonNoAuthServer,
			"no auth server is running, so nothing could accept the key: deploy the auth server; the key is published as soon as one is ready")
	case found.Complete():
		p.waits = false
		*told = finding{}
		return true, nil
	case r.impatient(p):
		told.message = fmt.Sprintf("waiting for %d of %d auth servers: %s", len(found.Missing), found.Of, registry.Describe(found.Missing))
	}
	p.lookAgain(registry.Patience)
	return false, nil
}

// postponeEnforcement leaves a change of the spec to the pass after the one that
// publishes the successor of the key: they wait for different auth servers.
func (p *pass) postponeEnforcement() {
	registered := meta.FindStatusCondition(p.observed.Status.Conditions, v1alpha1.ConditionRegistered)
	if registered.ObservedGeneration != p.key.Generation {
		p.enforcement = waiting(v1alpha1.ReasonRevoking, "waiting for the auth servers to go by the changed spec")
	}
}

// admitted reports whether auth servers may accept the key as far as the status,
// as it is stored, says.
func admitted(key *v1alpha1.APIKey) bool {
	return meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionPermitted) && !key.Status.Withdrawn()
}

// enforce waits until no auth server goes by an earlier spec of a key that works:
// the change may have taken a scope away, or brought the expiry forward. The key
// works meanwhile, and nothing is written unless it takes long.
func (r *APIKeyReconciler) enforce(ctx context.Context, p *pass) error {
	registered := meta.FindStatusCondition(p.observed.Status.Conditions, v1alpha1.ConditionRegistered)
	if registered.ObservedGeneration == p.key.Generation {
		return nil
	}
	p.enforcement = waiting(v1alpha1.ReasonRevoking, "waiting for the auth servers to go by the changed spec")
	found, asked, err := r.whoMayAccept(ctx, p, fmt.Sprintf("enforce generation %d", p.key.Generation))
	switch {
	case err != nil:
		return err
	case asked && found.Complete():
		p.enforcement = finding{}
	case asked && r.impatient(p):
		p.enforcement.message = fmt.Sprintf("waiting for %d of %d auth servers to go by the changed spec: %s", len(found.Missing), found.Of, registry.Describe(found.Missing))
	case !r.impatient(p):
		p.untold = true
	}
	return nil
}

// impatient reports whether the wait has lasted so long that the status should
// name who is waited for. Most waits last milliseconds and cost no write.
func (r *APIKeyReconciler) impatient(p *pass) bool {
	since, ok := r.Waiters.Since(p.identity())
	return ok && p.now.Sub(since) >= registry.Patience
}
