// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/rotation"
)

// expel ends the keys that were replaced and that have to end now, whatever becomes of
// the rest of the pass: because spec.rotation.retire says so, or because overlap.max is
// over. A leaked key must not go on working because, say, its successor cannot be
// published.
//
// What is ordered is about the keys that had been replaced before; of those that this
// pass replaces, the next one decides. The order stays open as long as it is for a key
// that is about to be replaced:
//
//	trigger changed, too     until the key that it replaces has ended
//	undo changed, too        until the two have changed places: the one that comes
//	                         back is not meant
//	the Secret still has it  as the current key, after an undo: until that is rewritten
func (r *APIKeyReconciler) expel(_ context.Context, p *pass) (next bool, err error) {
	spec, acted := &p.key.Spec.Rotation, p.acted()
	ordered := spec.Retire != acted.Retire && spec.Retire != ""
	undoing := spec.Undo != acted.Undo && spec.Undo != ""
	open := ordered && (undoing || p.triggered())
	overlap := rotation.OverlapOf(spec)
	for i := range p.key.Status.Versions {
		v := &p.key.Status.Versions[i]
		switch {
		case v.State != v1alpha1.VersionRetiring || undoing && v.ID == p.previous:
			continue
		case v.ID == p.holds:
			open = open || ordered
			continue
		}
		facts := r.facts(p, v)
		facts.Ordered = ordered
		if decision := rotation.Retire(p.now, facts, overlap); decision.End && decision.Reason != rotation.EndedUnused {
			r.endRetired(p, v, decision.Reason)
		}
	}
	if !open {
		acted.Retire = spec.Retire
		p.act(acted)
	}
	return true, nil
}

// triggered reports whether a rotation is under way, or about to be, that
// spec.rotation.trigger asks for.
func (p *pass) triggered() bool {
	if pending := p.pending(); pending != nil {
		return p.active() != nil && pending.Reason == dueTrigger
	}
	trigger := p.key.Spec.Rotation.Trigger
	return p.active() != nil && trigger != "" && trigger != p.acted().Trigger
}
