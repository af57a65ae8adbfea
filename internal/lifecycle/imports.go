// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"slices"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// A key of spec.importedKeys goes through the states of a version, without a Secret:
//
//	listed ──► Pending ──► Active ──── rotation ───► Retiring ──► Revoked ──► gone
//	              │          ├── taken out of the list ─────────────┤
//	              └──────────┴── forbidden by the Organization ─────┘
//
// status.imports has every hash that was registered, for as long as it is listed: one that
// has ended since does not come back at the next look, and nobody else can have it.
//
// status.refusedImports has every hash that was another APIKey's when it was considered,
// for as long as it is listed: otherwise whoever has read a hash could queue it, and have
// the requests of those who still send the key in the moment in which its holder ends it.
//
// Whoever had a hash first keeps it, even from an APIKey that is older: the hash is no
// secret, and who knows one could otherwise have the requests of those who hold the key
// land in another organization. That two have one at the same time happens only if a
// status was copied, or if the answer to a write was lost with its manager; then the
// APIKey that is older keeps it, as at auth servers.

// importing is what is made of spec.importedKeys.
type importing struct {
	*decision
	// registered and declined are status.imports and status.refusedImports as they are to be.
	registered, declined []string
	// wanted are hashes that are to become versions, if nobody else has them.
	wanted []keys.Digest
	// postponed are the IDs of those that wait for room.
	postponed []string
	malformed bool
}

// HasImports reports whether an APIKey has anything to do with spec.importedKeys.
func HasImports(key *v1alpha1.APIKey) bool {
	s := &key.Status
	return len(key.Spec.ImportedKeys)+len(s.Imports)+len(s.RefusedImports) > 0 || slices.ContainsFunc(s.Versions, isImported)
}

func isImported(v version) bool { return v.Imported() }

// reconcileImports has the versions agree with spec.importedKeys. The current key waits for
// none of it.
func (d *decision) reconcileImports() bool {
	if !HasImports(d.Key) {
		return true
	}
	i := &importing{decision: d}
	i.endImported(v1alpha1.RevokedUnlisted, func(v *version) bool { return !d.listed(v.SHA256) })
	if d.Organization.EffectiveImports() == v1alpha1.ImportForbidden {
		i.forbid()
	} else {
		for _, wanted := range d.Key.Spec.ImportedKeys {
			i.consider(wanted.SHA256)
		}
		i.giveWay()
		i.claim()
	}
	slices.Sort(i.registered)
	slices.Sort(i.declined)
	d.next.Imports, d.next.RefusedImports = i.registered, i.declined
	i.judge()
	return true
}

// forfeit ends what an APIKey has imported that its Organization blocks, so that whoever it
// belongs to can import it. It has to be listed anew should the block be lifted: who is to
// have it the admin has decided.
func (d *decision) forfeit() {
	if d.permission.reason != v1alpha1.ReasonBlocked || !HasImports(d.Key) {
		return
	}
	i := &importing{decision: d}
	i.endImported(v1alpha1.RevokedBlocked, func(*version) bool { return true })
	for _, listed := range d.Key.Spec.ImportedKeys {
		if _, err := keys.ParseDigest(listed.SHA256); err == nil {
			i.decline(listed.SHA256)
		}
	}
	slices.Sort(i.declined)
	d.next.Imports, d.next.RefusedImports = nil, i.declined
	if len(d.Key.Spec.ImportedKeys) > 0 {
		d.imports = finding{v1alpha1.ReasonBlocked, "The Organization blocks this APIKey. No key of spec.importedKeys is accepted, and others may import them."}
	}
}

// listed reports whether spec.importedKeys has the hash.
func (d *decision) listed(hash string) bool {
	return slices.ContainsFunc(d.Key.Spec.ImportedKeys, func(k v1alpha1.ImportedKey) bool { return k.SHA256 == hash })
}

// endImported ends the imported versions that work, and that which selects.
func (i *importing) endImported(reason v1alpha1.RevocationReason, which func(*version) bool) {
	for n := range i.next.Versions {
		v := &i.next.Versions[n]
		switch {
		case !v.Imported() || !v.State.Accepted() || !which(v):
		case reason == v1alpha1.RevokedUnlisted:
			i.endBy(v, reason)
		default:
			end(v, reason)
		}
	}
}

// forbid ends what works. What has retired before, and what was refused, is remembered:
// neither comes back when imports are permitted again.
func (i *importing) forbid() {
	working := map[string]bool{}
	for _, v := range i.Key.Status.Versions {
		working[v.SHA256] = v.Imported() && v.State.Accepted()
	}
	i.endImported(v1alpha1.RevokedForbidden, func(*version) bool { return true })
	for _, hash := range i.next.Imports {
		if i.listed(hash) && !working[hash] {
			i.registered = append(i.registered, hash)
		}
	}
	for _, hash := range i.next.RefusedImports {
		if i.listed(hash) {
			i.decline(hash)
		}
	}
}

// decline has a hash not be registered, for as long as it is listed.
func (i *importing) decline(hash string) {
	if !contains(i.declined, hash) {
		i.declined = append(i.declined, hash)
	}
}

// consider decides about one hash of the list.
func (i *importing) consider(hash string) {
	digest, err := keys.ParseDigest(hash)
	switch {
	case err != nil:
		// The schema refuses it.
		i.malformed = true
		return
	case contains(i.next.RefusedImports, hash):
		i.decline(hash)
		return
	case contains(i.next.Imports, hash):
		i.registered = append(i.registered, hash)
		return
	}
	switch v := versionOf(&i.next, digest.KeyID()); {
	case v != nil && v.SHA256 != hash:
		// Twelve digits can be made to agree, with some effort.
		i.decline(hash)
	case v != nil && v.Imported() && !v.State.Accepted(), v == nil && i.pruned(digest.KeyID()):
		i.postponed = append(i.postponed, digest.KeyID())
	case v != nil:
		// It works already. When it ends it has ended.
		i.registered = append(i.registered, hash)
	case slices.ContainsFunc(i.wanted, func(other keys.Digest) bool { return other.KeyID() == digest.KeyID() }), len(i.Rivals[hash]) > 0:
		i.decline(hash)
	case len(i.next.Versions)+len(i.wanted) >= maxImporting:
		i.postponed = append(i.postponed, digest.KeyID())
	default:
		i.wanted = append(i.wanted, digest)
	}
}

// pruned reports whether the version of that ID is in the status as it is stored alone: that
// it has ended is written, and told, before it can begin anew.
func (d *decision) pruned(id string) bool {
	return d.Key.StatusIsOwn() && versionOf(&d.Key.Status, id) != nil && versionOf(&d.next, id) == nil
}

// giveWay gives up the imported keys that an older APIKey has, too.
func (i *importing) giveWay() {
	for _, hash := range slices.Clone(i.registered) {
		elder := func(r Rival) bool { return r.Same && r.Senior }
		v := versionOf(&i.next, keys.KeyIDOf(hash))
		if v == nil || v.SHA256 != hash || !v.Imported() || !v.State.Accepted() || !slices.ContainsFunc(i.Rivals[hash], elder) {
			continue
		}
		end(v, v1alpha1.RevokedDuplicate)
		i.decline(hash)
		i.registered = slices.DeleteFunc(i.registered, func(registered string) bool { return registered == hash })
	}
}

// claim registers what is wanted and was reserved for this APIKey.
//
// How old such a key is nobody knows. Its age is counted from the creation of the APIKey:
// whatever is done with the list, it never becomes younger by that.
func (i *importing) claim() {
	if i.Unwritable != nil {
		return
	}
	for _, digest := range i.wanted {
		hash := digest.String()
		switch reserved, asked := i.Claims[hash]; {
		case !asked:
			i.plan.Ask.Claims = append(i.plan.Ask.Claims, digest)
		case !reserved:
			i.decline(hash)
		default:
			i.next.Versions = append(i.next.Versions, v1alpha1.KeyVersion{
				ID: digest.KeyID(), SHA256: hash, State: v1alpha1.VersionPending, Origin: v1alpha1.OriginImported, RegistrationTime: i.Key.CreationTimestamp,
			})
			i.registered = append(i.registered, hash)
		}
	}
}
