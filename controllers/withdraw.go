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

// withdraw takes a key that is not to work just now back from the auth servers, and
// finds out whether each has let go of it. The version and its Secret stay.
//
// Auth servers judge spec.suspend and spec.expirationTime by themselves. That the status
// says it too is for the permission, which they cannot judge, and for their clocks,
// of which one may be behind.
func (r *APIKeyReconciler) withdraw(ctx context.Context, p *pass) (next bool, err error) {
	if p.works() {
		return true, nil
	}
	if !p.accepted() {
		return false, nil
	}
	before := meta.FindStatusCondition(p.observed.Status.Conditions, v1alpha1.ConditionRegistered)
	if before != nil && before.Reason == v1alpha1.ReasonRevoked {
		p.withdrawal = revoked()
		return false, nil
	}
	p.withdrawal = waiting(v1alpha1.ReasonRevoking, "waiting for the auth servers to drop the key")
	if !p.observed.Status.Withdrawn() {
		if err := r.writeStatus(ctx, p); err != nil {
			return false, err
		}
	}
	found, asked, err := r.whoMayAccept(ctx, p, "withdraw")
	switch {
	case err != nil:
		return false, err
	case asked && found.Complete():
		p.withdrawal = revoked()
	case asked && r.impatient(p):
		p.withdrawal.message = waitingToDrop(found)
	}
	return false, nil
}

func revoked() finding {
	return waiting(v1alpha1.ReasonRevoked, "no auth server accepts the key")
}

func waitingToDrop(found registry.Acknowledgement) string {
	return fmt.Sprintf("waiting for %d of %d auth servers to drop the key: %s", len(found.Missing), found.Of, registry.Describe(found.Missing))
}

// await has the APIKey wait until every auth server has applied it as it is. It waits
// for the revision that the wait for this purpose began with.
func (r *APIKeyReconciler) await(p *pass, purpose string) registry.Wait {
	p.waits = true
	return r.Waiters.Wait(p.identity(), purpose, p.observed.ResourceVersion)
}

// whoMayAccept finds out which auth servers may still go by what the APIKey was
// before the revision that this wait began with. It reports false when it is not
// worth asking yet.
func (r *APIKeyReconciler) whoMayAccept(ctx context.Context, p *pass, purpose string) (found registry.Acknowledgement, asked bool, err error) {
	wait := r.await(p, purpose)
	if !wait.Worthwhile {
		p.lookAgain(registry.Patience)
		return registry.Acknowledgement{}, false, nil
	}
	if found, err = r.Members.Revocation(ctx, wait); err != nil {
		return registry.Acknowledgement{}, false, err
	}
	if found.Complete() {
		p.waits = false
	} else {
		p.lookAgain(found.Again)
	}
	return found, true, nil
}
