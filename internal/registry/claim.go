// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"slices"
	"time"
	"unique"

	"k8s.io/apimachinery/pkg/api/meta"
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
	// versions that are to be accepted: none while the APIKey is being deleted,
	// suspended or not permitted, nor any of a status that is another APIKey's.
	versions []version
	// awaited: the manager is waiting for this change to be applied.
	awaited bool
	// refused: the object cannot be gone by.
	refused bool
	// permit is what the grants go by, set by the index; nil without versions.
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

// claimOf judges an APIKey. It is pure: the same object gives the same claim.
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
		scopes:           scope.All(),
		awaited:          awaited(key),
		refused:          key.Refusal != "",
	}
	if len(key.Spec.Scopes) > 0 {
		c.scopes = scope.Of(key.Spec.Scopes...)
	}
	if expiry, ok := key.Expiry(); ok {
		c.expirationTime = expiry.Time
	}
	c.expired = expired(key)
	if c.refused || !key.StatusIsOwn() || !accepted(key) && !c.expired {
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
	key.Spec.Description, key.Spec.Secret = "", v1alpha1.SecretTemplate{}
	key.Spec.Rotation = v1alpha1.Rotation{Overlap: key.Spec.Rotation.Overlap}
	for i := range key.Spec.ImportedKeys {
		key.Spec.ImportedKeys[i].Description = ""
	}
	for i := range key.Status.Conditions {
		key.Status.Conditions[i].Message = ""
	}
}

// expired reports whether the manager has taken key back because it expired. Its
// hashes stay, so that a client is told why.
func expired(key *v1alpha1.APIKey) bool {
	ready := meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionReady)
	return key.Status.Withdrawn() && ready != nil && ready.Reason == v1alpha1.ReasonExpired
}

// accepted reports whether any version of key may be accepted at all. What the
// manager has withdrawn stays so until the manager says otherwise: on that rests
// that a key which is reported as revoked is dead.
func accepted(key *v1alpha1.APIKey) bool {
	return key.DeletionTimestamp.IsZero() && !key.Spec.Suspend &&
		meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionPermitted) &&
		!key.Status.Withdrawn()
}

// awaited reports whether the manager may be waiting for key to be applied as it
// is now: it is being deleted, was changed, or its key is on its way in or out.
// Nobody waits for one that has no key yet.
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
	return slices.ContainsFunc(key.Status.Versions, moving) || key.Generation != key.Status.ObservedGeneration ||
		!meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionRegistered)
}

// older reports whether c's APIKey came before other's; the UID decides between
// those of the same second, so that every replica decides alike.
func (c *claim) older(other *claim) bool {
	if !c.created.Equal(other.created) {
		return c.created.Before(other.created)
	}
	return c.uid < other.uid
}
