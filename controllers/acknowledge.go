// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

// acknowledge waits until every live auth server knows the hash: whoever gets
// the key then can use it at once, everywhere.
func (r *APIKeyReconciler) acknowledge(ctx context.Context, p *pass) (next bool, err error) {
	version := p.current()
	if version.State == v1alpha1.VersionActive {
		p.registration = good(v1alpha1.ReasonRegistered, "every live auth server knows the key")
		return true, nil
	}
	_, revision, minted := r.Escrow.Get(p.key.UID, version.ID)
	if !minted {
		// Published by a process that is gone: any revision since will do.
		revision = p.key.ResourceVersion
	}
	p.registration = waiting(v1alpha1.ReasonWaitingForAuthServers, "waiting for the auth servers to learn of the key")
	revision, worthwhile := r.Waiters.Wait(p.identity(), "register "+version.ID, revision)
	if !worthwhile {
		p.lookAgain(registry.Patience)
		return false, nil
	}
	survey, err := r.Members.Survey(ctx)
	if err != nil {
		return false, err
	}
	missing, live := survey.Registration(revision)
	switch {
	case live == 0:
		p.registration = waiting(v1alpha1.ReasonNoAuthServer,
			"no auth server is running, so nothing could accept the key: deploy the auth server; the key is published as soon as one is ready")
	case len(missing) == 0:
		r.Waiters.Done(p.identity())
		p.registration = good(v1alpha1.ReasonRegistered, "every live auth server knows the key")
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
