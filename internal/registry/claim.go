// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"time"
	"unique"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
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
	// expiresAt is zero for a key that does not expire.
	expiresAt time.Time
	// digests that are to be accepted: none while the APIKey is being deleted,
	// suspended or not permitted.
	digests []keys.Digest
	// awaited: the manager is waiting for this change to be applied.
	awaited bool
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
		awaited:          !key.DeletionTimestamp.IsZero(),
	}
	if len(key.Spec.Scopes) > 0 {
		c.scopes = scope.Of(key.Spec.Scopes...)
	}
	if key.Spec.ExpiresAt != nil {
		c.expiresAt = key.Spec.ExpiresAt.Time
	}
	accepted := key.DeletionTimestamp.IsZero() && !key.Spec.Suspend &&
		meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionPermitted)
	for _, version := range key.Status.Versions {
		if version.State == v1alpha1.VersionPending {
			c.awaited = true
		}
		if !accepted || !servedState(version.State) {
			continue
		}
		if digest, err := keys.ParseDigest(version.SHA256); err == nil {
			c.digests = append(c.digests, digest)
		}
	}
	return c
}

// servedState reports whether versions in this state are accepted. A state that
// this release does not know is not.
func servedState(state v1alpha1.VersionState) bool {
	return state == v1alpha1.VersionPending || state == v1alpha1.VersionActive
}

// older reports whether c's APIKey came before other's; the UID decides between
// those of the same second, so that every replica decides alike.
func (c *claim) older(other *claim) bool {
	if !c.created.Equal(other.created) {
		return c.created.Before(other.created)
	}
	return c.uid < other.uid
}

// organization is what the index knows of an Organization.
type organization struct {
	revision string
	id       string
	scopes   scope.Set
	// active: exists, is not being deleted and not suspended.
	active bool
}

// organizationOf judges an Organization.
func organizationOf(org *v1alpha1.Organization) organization {
	return organization{
		revision: org.ResourceVersion,
		id:       unique.Make(org.EffectiveID()).Value(),
		scopes:   scope.Of(org.EffectiveScopes()...),
		active:   org.DeletionTimestamp.IsZero() && !org.Spec.Suspend,
	}
}
