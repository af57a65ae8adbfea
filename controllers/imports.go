// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// A key of spec.importedKeys goes through the states of a version, without Pending and
// without a Secret:
//
//	listed ──► Active ──── rotation ───► Retiring ──► Revoked ──► gone
//	             ├── taken out of the list ─────────────┤
//	             └── forbidden by the Organization ─────┘
//
// status.imports has every hash that was taken up, for as long as it is listed: one that
// has ended since does not come back at the next pass, and nobody else can have it.
//
// status.refusedImports has every hash that was another APIKey's when it was considered,
// for as long as it is listed: otherwise whoever has read a hash could queue it, and have
// the requests of those who still send the key in the moment in which its holder ends it.
//
// Whoever had a hash first keeps it, even from an APIKey that is older: the hash is no
// secret, and who knows one could otherwise have the requests of those who hold the key
// land in another organization. That two have one at the same time happens only if a
// status was copied, or if the answer to a write was lost with its manager; then the
// APIKey that is older keeps it, which is what auth servers go by, too.

// importPlan is how the versions come to agree with spec.importedKeys.
type importPlan struct {
	// versions and imports are status.versions and status.imports as they are to be, but
	// for what is wanted.
	versions []v1alpha1.KeyVersion
	imports  []string
	// declined are status.refusedImports as they are to be.
	declined []string
	// ended are the IDs of the versions that are refused from now on.
	ended []string
	// wanted are the hashes that are to become versions.
	wanted []keys.Digest
	// postponed are the IDs of those that wait: for room, until what they were before is
	// gone.
	postponed []string
	// malformed is how many entries are no hashes.
	malformed int
}

// planImports decides what is to change, as the Organization permits. It is pure.
func planImports(key *v1alpha1.APIKey, policy v1alpha1.ImportPolicy) importPlan {
	listed := map[string]bool{}
	for i := range key.Spec.ImportedKeys {
		listed[key.Spec.ImportedKeys[i].SHA256] = true
	}
	plan := importPlan{versions: slices.Clone(key.Status.Versions)}
	plan.end(v1alpha1.RevokedUnlisted, func(v *v1alpha1.KeyVersion) bool { return !listed[v.SHA256] })
	if policy == v1alpha1.ImportForbidden {
		plan.forbid(key, listed)
		return plan
	}
	for i := range key.Spec.ImportedKeys {
		plan.consider(key, key.Spec.ImportedKeys[i].SHA256)
	}
	return plan
}

// forfeitImports is the plan for an APIKey that its Organization blocks. What it has
// imported is free for others. It has to be listed anew should the block be lifted: who
// is to have it the admin has decided.
func forfeitImports(key *v1alpha1.APIKey) importPlan {
	plan := importPlan{versions: slices.Clone(key.Status.Versions)}
	plan.end(v1alpha1.RevokedBlocked, func(*v1alpha1.KeyVersion) bool { return true })
	for i := range key.Spec.ImportedKeys {
		if _, err := keys.ParseDigest(key.Spec.ImportedKeys[i].SHA256); err == nil {
			plan.decline(key.Spec.ImportedKeys[i].SHA256)
		}
	}
	return plan
}

// forbid ends what works. What has retired before, and what was refused, is remembered:
// neither comes back when imports are permitted again.
func (plan *importPlan) forbid(key *v1alpha1.APIKey, listed map[string]bool) {
	working := map[string]bool{}
	for i := range key.Status.Versions {
		v := &key.Status.Versions[i]
		working[v.SHA256] = v.Imported() && v.State.Accepted()
	}
	plan.end(v1alpha1.RevokedForbidden, func(*v1alpha1.KeyVersion) bool { return true })
	for _, hash := range key.Status.Imports {
		if listed[hash] && !working[hash] {
			plan.imports = append(plan.imports, hash)
		}
	}
	for _, hash := range key.Status.RefusedImports {
		if listed[hash] {
			plan.decline(hash)
		}
	}
}

// end has the imported versions that work, and that which selects, end.
func (plan *importPlan) end(reason v1alpha1.RevocationReason, which func(*v1alpha1.KeyVersion) bool) {
	for i := range plan.versions {
		if v := &plan.versions[i]; v.Imported() && v.State.Accepted() && which(v) {
			end(v, reason)
			plan.ended = append(plan.ended, v.ID)
		}
	}
}

// decline has a hash not be taken up, for as long as it is listed.
func (plan *importPlan) decline(hash string) {
	if !slices.Contains(plan.declined, hash) {
		plan.declined = append(plan.declined, hash)
	}
}

// consider decides about one hash of the list.
func (plan *importPlan) consider(key *v1alpha1.APIKey, hash string) {
	digest, err := keys.ParseDigest(hash)
	if err != nil {
		// The schema refuses it.
		plan.malformed++
		return
	}
	if slices.Contains(key.Status.RefusedImports, hash) {
		plan.decline(hash)
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
			plan.decline(hash)
		case v.Imported() && !v.State.Accepted():
			plan.postponed = append(plan.postponed, v.ID)
		default:
			// It works already. When it ends it has ended.
			plan.imports = append(plan.imports, hash)
		}
		return
	}
	if slices.ContainsFunc(plan.wanted, func(d keys.Digest) bool { return d.KeyID() == digest.KeyID() }) {
		plan.decline(hash)
		return
	}
	if len(plan.versions)+len(plan.wanted) >= maxImporting {
		plan.postponed = append(plan.postponed, digest.KeyID())
		return
	}
	plan.wanted = append(plan.wanted, digest)
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
	plan.end(v1alpha1.RevokedDuplicate, func(v *v1alpha1.KeyVersion) bool { return v.SHA256 == hash })
	plan.decline(hash)
	plan.imports = slices.DeleteFunc(plan.imports, func(taken string) bool { return taken == hash })
}

// take has a hash that is wanted become a version.
//
// How old the key is nobody knows. Its age is counted from the creation of the APIKey:
// whatever is done with the list, it never becomes younger by that.
func (plan *importPlan) take(digest keys.Digest, created metav1.Time, now time.Time) {
	plan.versions = append(plan.versions, v1alpha1.KeyVersion{
		ID:               digest.KeyID(),
		SHA256:           digest.String(),
		State:            v1alpha1.VersionActive,
		Origin:           v1alpha1.OriginImported,
		RegistrationTime: created,
		ActivationTime:   ptr.To(metav1.NewTime(now)),
	})
	plan.imports = append(plan.imports, digest.String())
}
