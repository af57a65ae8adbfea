// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"slices"
	"time"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/scope"
)

// admit finds out whether the Organization permits the key, and whether the key is to work
// just now.
func (d *decision) admit() bool {
	d.expire()
	d.permission = d.permit()
	permitted := d.permission.reason == v1alpha1.ReasonPermitted
	refusedBefore := d.next.Acceptance == v1alpha1.AcceptanceWithdrawn && d.next.ObservedGeneration == d.Key.Generation
	acceptance := v1alpha1.AcceptanceWithdrawn
	switch {
	case !permitted && d.Key.Refusal == "" && !d.Confirmed && !refusedBefore:
		// An Organization that was applied together with its APIKeys may not have come into
		// the cache yet: nobody is refused for that.
		d.plan.Ask.Permission = true
		return false
	case permitted && d.Key.Trimmed:
		d.plan.Ask.Spec = true
		return false
	case permitted:
		d.next.OrganizationID = d.Organization.EffectiveID()
		within := scope.Of(d.Key.EffectiveScopes()...).Intersect(scope.Of(d.Organization.EffectiveScopes()...))
		d.next.Scopes = slices.DeleteFunc(v1alpha1.AllScopes(), func(s v1alpha1.Scope) bool { return !within.Contains(scope.Of(s)) })
		d.stop, acceptance = d.dormancy()
	}
	if d.next.Acceptance != acceptance {
		// Who may still apply another one is not known from the write on that changes it.
		d.next.Acceptance, d.next.AppliedGeneration = acceptance, 0
	}
	return true
}

// permit decides whether the Organization permits the key.
func (d *decision) permit() finding {
	key, organization := d.Key, d.Organization
	name := key.Spec.OrganizationRef.Name
	switch {
	case key.Refusal != "":
		// Nothing that its spec says counts, as the Organization that it names.
		return finding{v1alpha1.ReasonInvalidObject, key.Refusal}
	case organization == nil:
		return found(v1alpha1.ReasonOrganizationNotFound,
			"There is no Organization %.100q. Ask a platform admin to create it, or create an APIKey with another spec.organizationRef.name.", name)
	case organization.Refusal != "":
		return found(v1alpha1.ReasonInvalidOrganization,
			"Organization %.100q is refused, and its keys with it. Ask a platform admin to correct it.", name)
	// Whoever is not permitted learns nothing else of an Organization, and nothing that
	// becomes of it is a change for APIKeys that only name it.
	case d.Namespace.Unreadable:
		return found(v1alpha1.ReasonInvalidSelector,
			"spec.namespaces.selector of Organization %.100q cannot be read. Ask a platform admin to correct it.", name)
	case !d.Namespace.Permitted:
		return found(v1alpha1.ReasonNamespaceNotPermitted,
			"Organization %.100q does not permit namespace %q. Ask a platform admin to have spec.namespaces.selector match it.", name, key.Namespace)
	case organization.Blocks(key.Namespace, key.Name):
		return found(v1alpha1.ReasonBlocked, "The Organization blocks this APIKey. Ask a platform admin.")
	case !organization.DeletionTimestamp.IsZero():
		return found(v1alpha1.ReasonOrganizationNotFound, "Organization %.100q is being deleted. Ask a platform admin.", name)
	case organization.Spec.Suspend:
		return found(v1alpha1.ReasonOrganizationSuspended,
			"Organization %.100q is suspended. A platform admin can set its spec.suspend to false.", name)
	case len(d.next.Versions) > 0 && d.next.OrganizationID != organization.EffectiveID():
		return found(v1alpha1.ReasonOrganizationChanged,
			"The key was minted for organization id %.60q, and Organization %.60q has id %.60q now. Create another APIKey.",
			d.next.OrganizationID, name, organization.EffectiveID())
	}
	has := scope.Of(organization.EffectiveScopes()...)
	if beyond := scope.Of(key.Spec.Scopes...).Without(has); !beyond.Empty() {
		return found(v1alpha1.ReasonScopeNotPermitted,
			"Organization %.100q does not have these scopes: %s. It has %s. Take the others out of spec.scopes.", name, beyond, has)
	}
	return found(v1alpha1.ReasonPermitted, "Organization %.100q permits the namespace and the scopes.", name)
}

// dormancy decides whether a key that is permitted is to work now, and why not.
func (d *decision) dormancy() (finding, v1alpha1.Acceptance) {
	expiry, expires := d.Key.Expiry()
	switch {
	case d.Key.Spec.Suspend:
		return found(v1alpha1.ReasonSuspended, "spec.suspend is true: the key is refused until it is false."), v1alpha1.AcceptanceWithdrawn
	case !expires || d.Now.Before(expiry.Time):
		return finding{}, v1alpha1.AcceptanceAccepted
	case d.Key.Spec.ExpirationTime != nil:
		return found(v1alpha1.ReasonExpired,
			"The key has expired at spec.expirationTime %s. To have it work again, set a later time or remove it.",
			expiry.UTC().Format(time.RFC3339)), v1alpha1.AcceptanceExpired
	}
	return found(v1alpha1.ReasonExpired, "The key has expired: spec.ttl %s ended at %s. To have it work again, set a longer one or remove it.",
		d.Key.Spec.TTL.Duration, expiry.UTC().Format(time.RFC3339)), v1alpha1.AcceptanceExpired
}

// withdraw finds out whether every auth server has let go of a key that is not to work. The
// version and its Secret stay.
//
// Auth servers judge most of that by themselves. That the status says it too is for their
// clocks, of which one may be behind, and for what only the manager knows.
func (d *decision) withdraw() bool {
	if d.next.Acceptance == v1alpha1.AcceptanceAccepted {
		// A namespace that is going away deletes its Secrets first. That is no drift, and no
		// key can be published there: the APIKey itself is next.
		return !d.Namespace.Terminating
	}
	d.forfeit()
	if d.Key.Refusal == "" {
		// For good, also if the entry goes before the key works again.
		d.endAll(v1alpha1.RevokedRequested, d.named)
	}
	generation, applied := d.Key.Generation, d.next.AppliedGeneration
	if len(d.next.Versions) == 0 {
		d.next.AppliedGeneration = generation
		return false
	}
	ack := Ack{Complete: applied == generation}
	if !ack.Complete && d.stored() {
		ack = d.await(Revoke, "withdrawn, generation %d", generation)
	}
	d.brief = applied != 0 && applied != generation
	d.withdrawal = finding{v1alpha1.ReasonRevoking, "Waiting for auth servers to drop the key."}
	switch {
	case ack.Complete:
		d.next.AppliedGeneration = generation
		d.withdrawal = finding{v1alpha1.ReasonRevoked, "No auth server accepts the key."}
	case ack.Slow:
		d.brief = false
		d.withdrawal.message = ack.wait("drop the key")
	}
	return false
}
