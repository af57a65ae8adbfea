// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// revokedUnlisted is why a version was revoked: it was taken out of spec.import.
const revokedUnlisted = "Unlisted"

// A key of spec.import goes through the states of a version, without Pending and
// without a Secret:
//
//	listed ──► Active ──── rotation ───► Retiring ──► Revoked ──► gone
//	             └── taken out of the list ─────────────┘
//
// status.imports has every hash that was taken up, for as long as it is listed: one that
// has ended since does not come back at the next pass, and nobody else can have it.
//
// Whoever had a hash first keeps it, even from an APIKey that is older: the hash is no
// secret, and who knows one could otherwise have the requests of those who hold the key
// land in another organization. That two have one at the same time happens only if a
// status was copied, or if the answer to a write was lost with its manager; then the
// APIKey that is older keeps it, which is what auth servers go by, too.

// importPlan is how the versions come to agree with spec.import.
type importPlan struct {
	// versions and imports are status.versions and status.imports as they are to be, but
	// for what is wanted.
	versions []v1alpha1.KeyVersion
	imports  []string
	// ended are the IDs of the versions that are refused from now on.
	ended []string
	// wanted are the hashes that are to become versions.
	wanted []keys.Digest
	// postponed are the IDs of those that wait: for room, until what they were before is
	// gone, or until somebody else has decided about the same hash.
	postponed []string
	// refused says why hashes cannot become versions, in the order of the list.
	refused []string
}

// planImports decides what is to change. It is pure.
func planImports(key *v1alpha1.APIKey) importPlan {
	listed := map[string]bool{}
	for i := range key.Spec.Import {
		listed[key.Spec.Import[i].SHA256] = true
	}
	plan := importPlan{versions: slices.Clone(key.Status.Versions)}
	for i := range plan.versions {
		if v := &plan.versions[i]; v.Imported() && v.State.Accepted() && !listed[v.SHA256] {
			end(v, revokedUnlisted)
			plan.ended = append(plan.ended, v.ID)
		}
	}
	for i := range key.Spec.Import {
		plan.consider(key, key.Spec.Import[i].SHA256)
	}
	return plan
}

// consider decides about one hash of the list.
func (plan *importPlan) consider(key *v1alpha1.APIKey, hash string) {
	digest, err := keys.ParseDigest(hash)
	if err != nil {
		// The schema refuses it.
		plan.refused = append(plan.refused, fmt.Sprintf("an entry is no SHA-256: %v", err))
		return
	}
	if slices.Contains(key.Status.Imports, hash) {
		plan.imports = append(plan.imports, hash)
		return
	}
	same := func(v v1alpha1.KeyVersion) bool { return v.ID == digest.KeyID() }
	if i := slices.IndexFunc(plan.versions, same); i >= 0 {
		switch v := &plan.versions[i]; {
		case v.SHA256 != hash:
			// Twelve digits can be made to agree, with some effort.
			plan.refused = append(plan.refused, sameKeyID(hash))
		case v.Imported() && !v.State.Accepted():
			plan.postponed = append(plan.postponed, v.ID)
		default:
			// It works already. When it ends it has ended.
			plan.imports = append(plan.imports, hash)
		}
		return
	}
	if slices.ContainsFunc(plan.wanted, func(d keys.Digest) bool { return d.KeyID() == digest.KeyID() }) {
		plan.refused = append(plan.refused, sameKeyID(hash))
		return
	}
	if len(plan.versions)+len(plan.wanted) >= maxImporting {
		plan.postponed = append(plan.postponed, digest.KeyID())
		return
	}
	plan.wanted = append(plan.wanted, digest)
}

func sameKeyID(hash string) string {
	return fmt.Sprintf("%s… has the key ID of another key of this APIKey", hash[:16])
}

// maxImporting leaves room in status.versions for rotations.
const maxImporting = maxRotated - 2

// accepts reports whether the hash is that of an imported version that works.
func (plan *importPlan) accepts(hash string) bool {
	return slices.ContainsFunc(plan.versions, func(v v1alpha1.KeyVersion) bool {
		return v.SHA256 == hash && v.Imported() && v.State.Accepted()
	})
}

// giveUp has the version of that hash end, which turned out to be another APIKey's.
func (plan *importPlan) giveUp(hash string) {
	for i := range plan.versions {
		if v := &plan.versions[i]; v.SHA256 == hash && v.Imported() && v.State.Accepted() {
			end(v, revokedDuplicate)
			plan.ended = append(plan.ended, v.ID)
		}
	}
	plan.imports = slices.DeleteFunc(plan.imports, func(taken string) bool { return taken == hash })
}

// take has a hash that is wanted become a version.
func (plan *importPlan) take(digest keys.Digest, now time.Time) {
	plan.versions = append(plan.versions, v1alpha1.KeyVersion{
		ID:           digest.KeyID(),
		SHA256:       digest.String(),
		State:        v1alpha1.VersionActive,
		Origin:       v1alpha1.OriginImported,
		RegisteredAt: metav1.NewTime(now),
		ActivatedAt:  ptr.To(metav1.NewTime(now)),
	})
	plan.imports = append(plan.imports, digest.String())
}
