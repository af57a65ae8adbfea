// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"slices"
	"time"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/rotation"
	"github.com/hexcovery/apikey-operator/internal/scope"
)

// claim is what one APIKey asks the index to accept.
type claim struct {
	uid      types.UID
	revision string
	created  time.Time

	namespace, name  string
	organizationName string
	// organizationID is the id that the key was minted for.
	organizationID string
	// scopes of the key itself; its organization may have fewer.
	scopes scope.Set
	// expirationTime is zero for a key that does not expire.
	expirationTime time.Time
	// expired: the manager has found it expired, whatever this process' clock says.
	expired bool
	// versions that are to be accepted: none while the APIKey is being deleted or
	// suspended, or status.acceptance refuses them, nor any of a status that is another
	// APIKey's. Those of an expired one are known, and refused.
	versions []version
	// awaited: the manager is waiting for this change to be applied.
	awaited bool
	// refused: the object is invalid, so none of its keys is accepted.
	refused bool
	// permit holds the Organization of the grants, set by the index; nil without versions.
	permit *permit
}

// version is one hash of a claim.
type version struct {
	digest keys.Digest
	// registered is when the hash was registered: what the organization's maxKeyAge
	// counts from.
	registered time.Time
	// imported: the key was issued elsewhere, and may have any form.
	imported bool
	// retiring: the key was replaced, and people want to know who still uses it.
	retiring bool
	// until is when the key ends, whatever the manager does; zero for never.
	until time.Time
}

// has reports whether digest is one that c asks for.
func (c *claim) has(digest keys.Digest) bool {
	return slices.ContainsFunc(c.versions, func(v version) bool { return v.digest == digest })
}

// claimOf derives the claim of an APIKey. It is pure.
//
// A version that cannot be read is left out, so that one bad object accepts
// less, never more, and hurts no other.
func claimOf(key *v1alpha1.APIKey) claim {
	c := claim{
		uid:              key.UID,
		revision:         key.ResourceVersion,
		created:          key.CreationTimestamp.Time,
		namespace:        unique.Make(key.Namespace).Value(),
		name:             key.Name,
		organizationName: unique.Make(key.Spec.OrganizationRef.Name).Value(),
		organizationID:   unique.Make(key.Status.OrganizationID).Value(),
		scopes:           scope.Of(key.EffectiveScopes()...),
		expired:          key.Status.Acceptance == v1alpha1.AcceptanceExpired,
		awaited:          awaited(key),
		refused:          key.Refusal != "",
	}
	if expiry, ok := key.Expiry(); ok {
		c.expirationTime = expiry.Time
	}
	if c.refused || !key.StatusIsOwn() || !known(key) {
		return c
	}
	for i := range key.Status.Versions {
		v := &key.Status.Versions[i]
		if !v.State.Accepted() || ended(key, v) {
			continue
		}
		if digest, err := keys.ParseDigest(v.SHA256); err == nil {
			c.versions = append(c.versions, version{
				digest: digest, registered: v.RegistrationTime.Time,
				imported: v.Imported(), retiring: v.State == v1alpha1.VersionRetiring,
				until: until(key, v),
			})
		}
	}
	return c
}

// ended reports whether the spec ends a version that the status still has as accepted.
// The manager says so too, when it runs.
func ended(key *v1alpha1.APIKey, v *v1alpha1.KeyVersion) bool {
	listed := func(k v1alpha1.ImportedKey) bool { return k.SHA256 == v.SHA256 }
	if v.Imported() && !slices.ContainsFunc(key.Spec.ImportedKeys, listed) {
		return true
	}
	return slices.Contains(key.Spec.RevokedKeyIDs, v.ID)
}

// until is when overlap.max ends a version that was replaced; zero for any other.
func until(key *v1alpha1.APIKey, v *v1alpha1.KeyVersion) time.Time {
	if v.State != v1alpha1.VersionRetiring || v.ID == key.Status.KeyID {
		return time.Time{}
	}
	return ptr.Deref(v.ReplacementTime, v.RegistrationTime).Add(rotation.OverlapOf(&key.Spec.Rotation).Max)
}

// trim leaves of an APIKey what a claim is made from.
func trim(key *v1alpha1.APIKey) {
	key.ManagedFields, key.Annotations, key.Labels, key.OwnerReferences = nil, nil, nil, nil
	spec, status := &key.Spec, &key.Status
	for i := range spec.ImportedKeys {
		spec.ImportedKeys[i].Description = ""
	}
	key.Spec = v1alpha1.APIKeySpec{
		OrganizationRef: spec.OrganizationRef, Scopes: spec.Scopes, ExpirationTime: spec.ExpirationTime, TTL: spec.TTL, Suspend: spec.Suspend,
		RevokedKeyIDs: spec.RevokedKeyIDs, ImportedKeys: spec.ImportedKeys, Rotation: v1alpha1.Rotation{Overlap: spec.Rotation.Overlap},
	}
	key.Status = v1alpha1.APIKeyStatus{
		UID: status.UID, Acceptance: status.Acceptance, AppliedGeneration: status.AppliedGeneration,
		OrganizationID: status.OrganizationID, KeyID: status.KeyID, Versions: status.Versions,
	}
}

// known reports whether the versions of key are in the index at all: to be accepted, or to
// be refused as expired. What the manager has deactivated stays out until it says otherwise:
// a key that is reported as revoked depends on that. An unknown value refuses.
func known(key *v1alpha1.APIKey) bool {
	if !key.DeletionTimestamp.IsZero() || key.Spec.Suspend {
		return false
	}
	return key.Status.Acceptance == v1alpha1.AcceptanceAccepted || key.Status.Acceptance == v1alpha1.AcceptanceExpired
}

// awaited reports whether the manager may be waiting for key to be applied as it is now:
// it is being deleted, a key of it is on its way in or out, or some auth server may still
// apply what it was before. Nobody waits for one that has no key yet.
func awaited(key *v1alpha1.APIKey) bool {
	switch {
	case !key.DeletionTimestamp.IsZero():
		return true
	case len(key.Status.Versions) == 0:
		return false
	}
	moving := func(v v1alpha1.KeyVersion) bool {
		return v.State == v1alpha1.VersionPending || v.State == v1alpha1.VersionRevoked
	}
	return slices.ContainsFunc(key.Status.Versions, moving) || key.Status.AppliedGeneration != key.Generation
}

// older reports whether c's APIKey came before other's. They are compared where two have
// one hash, which is seldom.
func (c *claim) older(other *claim) bool { return c.origin().OlderThan(other.origin()) }

// origin is the APIKey as far as that takes.
func (c *claim) origin() *v1alpha1.APIKey {
	return &v1alpha1.APIKey{ObjectMeta: metav1.ObjectMeta{UID: c.uid, CreationTimestamp: metav1.NewTime(c.created)}}
}
