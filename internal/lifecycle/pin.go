// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"slices"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/rotation"
)

// pin has the key that spec.activeKeyID names be the current one, and no other take its
// place. If it is the one that was replaced last the two change places, and publish brings
// the Secret into line.
func (d *decision) pin() bool {
	id, now, successor := d.Key.Spec.ActiveKeyID, active(&d.next), pending(&d.next)
	switch {
	case id == "", now == nil, successor != nil && id == successor.ID:
		return true
	case d.Secret.Live && d.main.id == "":
		// Somebody has touched the Secret: register ends every key.
		return true
	case successor != nil && successor.ID == d.main.id:
		// It has come into the Secret, and is going to be the one that can be gone back from.
		return true
	case id == now.ID:
		// What takes its place for its age does, pinned or not.
		return d.agedOut(now) || d.giveUp(successor)
	}
	var unavailable string
	switch pinned := versionOf(&d.next, id); {
	case pinned == nil || pinned.Imported() || !pinned.State.Accepted():
		unavailable = "does not work"
	case d.agedOut(pinned):
		unavailable = "is too old for the Organization's spec.maxKeyAge"
	case d.Secret.Live && !d.Held.Has(id):
		unavailable = "is in no Secret any more"
	case !d.Held.Has(id):
		d.yielding = now.ID
		return d.askSecrets()
	case !d.giveUp(successor):
		d.yielding = now.ID
		return false
	default:
		d.activate(pinned)
		return true
	}
	d.pinned = found(v1alpha1.ReasonActiveKeyUnavailable,
		"Key %s of spec.activeKeyID %s, and key %s is the current one. Set another key of status.versions, or remove it.",
		id, unavailable, now.ID)
	return true
}

// agedOut reports whether v would be replaced at once for the Organization's maxKeyAge.
func (d *decision) agedOut(v *version) bool {
	return rotation.TooOld(d.Now, &d.Key.Spec.Rotation, scheduled(d.Key, v), d.maxKeyAge())
}

// giveUp ends a key that is on its way into the Secret, and reports whether it has.
func (d *decision) giveUp(successor *version) bool {
	switch {
	case successor == nil:
		return true
	case !d.Secret.Live:
		// It may have come into the Secret since.
		return d.askSecrets()
	case d.Minted != successor.ID && !d.fenced(successor):
		return false
	}
	d.end(successor, v1alpha1.RevokedAbandoned)
	return true
}

// revoke ends the keys that have to end now, whatever becomes of the rest: those that
// spec.revokedKeyIDs names, and of those that were replaced the ones whose overlap.max is
// over. A leaked key must not go on working because, say, its successor cannot be published.
//
// One that gives its place to the key that spec.activeKeyID names stays until the Secret is
// rewritten; auth servers refuse it by themselves.
func (d *decision) revoke() bool {
	goOn := d.pin()
	overlap := rotation.OverlapOf(&d.Key.Spec.Rotation)
	for _, v := range those(&d.next, isAccepted) {
		retiring := v.State == v1alpha1.VersionRetiring
		switch {
		case retiring && v.ID == d.next.KeyID, v.ID == d.yielding:
		case d.named(v):
			d.end(v, v1alpha1.RevokedRequested)
		case retiring:
			if decision := rotation.Retire(d.Now, d.facts(v), overlap); decision.Kept == "" && decision.Revoked != v1alpha1.RevokedUnused {
				d.end(v, decision.Revoked)
			}
		}
	}
	return goOn
}

// named reports whether spec.revokedKeyIDs names v.
func (d *decision) named(v *version) bool { return slices.Contains(d.Key.Spec.RevokedKeyIDs, v.ID) }
