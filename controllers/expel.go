// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"slices"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/rotation"
)

// expel ends the keys that have to end now, whatever becomes of the rest of the pass: those
// that spec.revokedKeyIDs names, and of those that were replaced the ones whose overlap.max is
// over. A leaked key must not go on working because, say, its successor cannot be published.
//
// One that has just given its place to the key that spec.activeKeyID names stays until the
// Secret is rewritten; auth servers refuse it by themselves.
func (r *APIKeyReconciler) expel(_ context.Context, p *pass) (next bool, err error) {
	r.pin(p)
	overlap := rotation.OverlapOf(&p.key.Spec.Rotation)
	for i := range p.key.Status.Versions {
		v := &p.key.Status.Versions[i]
		retiring := v.State == v1alpha1.VersionRetiring
		switch {
		case !v.State.Accepted() || retiring && v.ID == p.holds:
		case slices.Contains(p.key.Spec.RevokedKeyIDs, v.ID):
			end(v, v1alpha1.RevokedRequested)
			r.decide(p, v)
		case retiring:
			if decision := rotation.Retire(p.now, r.facts(p, v), overlap); decision.Kept == "" && decision.Revoked != v1alpha1.RevokedUnused {
				r.endRetired(p, v, decision.Revoked)
			}
		}
	}
	return true, nil
}
