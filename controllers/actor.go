// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
)

// actorOf says who wanted an action where its phase does not: what the spec asks for,
// its last user did; what time, use or a Secret brought about, the manager did by
// itself.
func actorOf(p *pass, action audit.Action) audit.Actor {
	if action == audit.Revoked {
		return audit.Deletion(p.key)
	}
	return audit.User(p.key)
}

// mintCauses and revocationCauses are why the manager mints or ends a version by itself. The
// others a user of the API wanted.
var (
	mintCauses = map[v1alpha1.MintReason]string{
		v1alpha1.MintInterval:  audit.CauseSchedule,
		v1alpha1.MintMaxKeyAge: audit.CauseSchedule,
		v1alpha1.MintDrifted:   audit.CauseDrift,
	}
	revocationCauses = map[v1alpha1.RevocationReason]string{
		v1alpha1.RevokedDrifted:   audit.CauseDrift,
		v1alpha1.RevokedConflict:  audit.CauseDrift,
		v1alpha1.RevokedDuplicate: audit.CauseDuplicate,
		v1alpha1.RevokedAbandoned: audit.CauseRecovery,
		v1alpha1.RevokedForbidden: audit.CausePermission,
		v1alpha1.RevokedBlocked:   audit.CausePermission,
		v1alpha1.RevokedUnused:    audit.CauseUsage,
		v1alpha1.RevokedAtMax:     audit.CauseOverlap,
		v1alpha1.RevokedInUse:     audit.CauseOverlap,
	}
)

// actorOfVersion says who wanted that a version was minted or ended, by its reason.
func actorOfVersion[R ~string](p *pass, causes map[R]string, reason R) audit.Actor {
	if cause, ok := causes[reason]; ok {
		return audit.Manager(cause)
	}
	return audit.User(p.key)
}

// decide remembers who wanted that v ends: until no auth server accepts it somebody else
// may change the APIKey.
func (r *APIKeyReconciler) decide(p *pass, v *v1alpha1.KeyVersion) {
	deciders := map[string]audit.Actor{}
	if known, ok := r.deciders.Load(p.key.UID); ok {
		// A pass is the only one over its APIKey, so nobody else has it at hand.
		deciders = known.(map[string]audit.Actor)
	}
	deciders[v.ID] = actorOfVersion(p, revocationCauses, v.RevocationReason)
	r.deciders.Store(p.key.UID, deciders)
}

// deciderOf says who wanted that v ended: whoever has last changed the APIKey if that was
// decided under a manager before this one.
func (r *APIKeyReconciler) deciderOf(p *pass, v *v1alpha1.KeyVersion) audit.Actor {
	if known, ok := r.deciders.Load(p.key.UID); ok {
		deciders := known.(map[string]audit.Actor)
		if actor, ok := deciders[v.ID]; ok {
			if delete(deciders, v.ID); len(deciders) == 0 {
				r.deciders.Delete(p.key.UID)
			}
			return actor
		}
	}
	return actorOfVersion(p, revocationCauses, v.RevocationReason)
}

// actorOfStop says who wanted that a key does not work, for the reason that its
// condition Ready has.
func actorOfStop(p *pass, reason string) audit.Actor {
	switch reason {
	case v1alpha1.ReasonSuspended:
		return audit.User(p.key)
	case v1alpha1.ReasonExpired:
		return audit.Manager(audit.CauseExpiry)
	case v1alpha1.ReasonOrganizationSuspended, v1alpha1.ReasonBlocked:
		if p.organization != nil {
			return audit.UserOf("Organization", p.organization)
		}
	}
	if len(p.observed.Status.Versions) == 0 {
		// It has never worked: whoever asked for it is refused.
		return audit.User(p.key)
	}
	return actorOfPermission(p)
}

// actorOfResumption says who wanted that a key works again that had stopped for a
// reason.
func actorOfResumption(p *pass, reason string) audit.Actor {
	switch reason {
	case v1alpha1.ReasonSuspended, v1alpha1.ReasonExpired:
		return audit.User(p.key)
	case v1alpha1.ReasonOrganizationSuspended, v1alpha1.ReasonBlocked:
		if p.organization != nil {
			return audit.UserOf("Organization", p.organization)
		}
	case v1alpha1.ReasonResuming:
		// Why it had stopped, a manager before this one knew.
		return audit.Actor{Kind: audit.ActorUnknown, LastChangedBy: audit.User(p.key).Name}
	}
	return actorOfPermission(p)
}

// actorOfPermission is the manager, which found that the permission has changed: by a
// change of the Organization, whose last user is known, or of the namespace's labels.
func actorOfPermission(p *pass) audit.Actor {
	actor := audit.Manager(audit.CausePermission)
	if p.organization != nil {
		actor.Of = "Organization/" + p.organization.Name
		actor.LastChangedBy = audit.User(p.organization).Name
	}
	return actor
}
