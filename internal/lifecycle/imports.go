// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

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
// APIKey that is older keeps it, which is what auth servers go by, too.

// keyIDLength is how many digits of a hash are its key ID.
const keyIDLength = 12

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
		v := versionOf(&i.next, hash[:keyIDLength])
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

// judge finds out how it stands with spec.importedKeys.
func (i *importing) judge() {
	switch {
	case len(i.Key.Spec.ImportedKeys) == 0:
		return
	case i.Organization.EffectiveImports() == v1alpha1.ImportForbidden:
		i.imports = found(v1alpha1.ReasonImportForbidden,
			"Organization %.100q does not permit imports. Ask a platform admin to set its spec.imports, or take the keys out of spec.importedKeys.", i.Organization.Name)
	case len(i.declined) > 0 || i.malformed:
		i.imports = finding{v1alpha1.ReasonImportRefused, i.refused()}
	case i.Unwritable != nil && len(i.wanted) > 0:
		i.imports = i.unwritable()
	case len(i.postponed) > 0:
		i.imports = found(v1alpha1.ReasonImporting, "Not importing %s yet: earlier keys of this APIKey are still being revoked.", strings.Join(i.postponed, ", "))
	case i.tooOld():
		i.imports = finding{v1alpha1.ReasonImportExpired,
			"This APIKey is older than the Organization's spec.maxKeyAge, so no imported key is accepted. Move clients to the key in the Secret, or import into a new APIKey."}
	default:
		i.imports = i.working()
	}
	i.acknowledge()
}

// acknowledge activates imported keys that all auth servers have loaded.
func (i *importing) acknowledge() {
	var ids []string
	for n := range i.Key.Status.Versions {
		v := versionOf(&i.next, i.Key.Status.Versions[n].ID)
		if v != nil && v.Imported() && v.State == v1alpha1.VersionPending {
			ids = append(ids, v.ID)
		}
	}
	if len(ids) == 0 || !i.stored() {
		return
	}
	ack, known := i.await(Register, fmt.Sprintf("imported %s, generation %d", strings.Join(ids, " "), i.Key.Generation))
	if !known || !ack.Complete {
		if i.imports.reason == v1alpha1.ReasonImporting && ack.Slow {
			i.imports.message = waitingToLoad(ack)
		}
		return
	}
	for _, id := range ids {
		v := versionOf(&i.next, id)
		v.State, v.ActivationTime = v1alpha1.VersionActive, ptr.To(metav1.NewTime(i.Now))
	}
	if i.imports.reason == v1alpha1.ReasonImporting {
		i.imports = i.working()
	}
}

// working says how many keys of spec.importedKeys work, and how many have ended.
func (i *importing) working() finding {
	working := 0
	for n := range i.next.Versions {
		v := &i.next.Versions[n]
		if !v.State.Accepted() || !contains(i.registered, v.SHA256) {
			continue
		}
		if v.State == v1alpha1.VersionPending {
			return finding{v1alpha1.ReasonImporting, "Waiting for auth servers to load the keys."}
		}
		working++
	}
	message := fmt.Sprintf("%d of %d keys of spec.importedKeys work.", working, len(i.registered))
	if working < len(i.registered) {
		message += " The others have retired."
	}
	return finding{v1alpha1.ReasonImported, message}
}

// refused names as many of the hashes that were refused as people read. It names nobody who
// has them: others need not learn that they exist, and what becomes of them must be no
// change, and so no write, for everybody who lists the hash.
func (i *importing) refused() string {
	const advice = " A key belongs to one APIKey. Take it out of spec.importedKeys; put back, it is considered anew."
	var parts []string
	for _, hash := range i.declined {
		parts = append(parts, i.why(hash))
	}
	if i.malformed {
		parts = append(parts, "An entry is no SHA-256.")
	}
	message := parts[0]
	for n, part := range parts[1:] {
		if len(message)+len(part) > maxMessage-len(advice)-len(" 9 more.") {
			message += fmt.Sprintf(" %d more.", len(parts)-1-n)
			break
		}
		message += " " + part
	}
	return message + advice
}

// why says what a hash is that was declined.
func (i *importing) why(hash string) string {
	id := hash[:keyIDLength]
	if v := versionOf(&i.next, id); v != nil && v.SHA256 != hash {
		return fmt.Sprintf("%s… has the key ID of another key of this APIKey.", hash[:keyIDLength+4])
	}
	if rivals := i.Rivals[hash]; len(rivals) > 0 && !slices.ContainsFunc(rivals, func(r Rival) bool { return r.Same }) {
		return id + " has the key ID of a key of another APIKey."
	}
	return id + " is or was a key of another APIKey."
}

// tooOld reports whether imported keys are older than the Organization permits, and has the
// next look come when they will be.
func (i *importing) tooOld() bool {
	if i.Organization.Spec.MaxKeyAge == nil {
		return false
	}
	left := i.Key.CreationTimestamp.Add(i.Organization.Spec.MaxKeyAge.Duration).Sub(i.Now)
	i.again(left)
	return left <= 0
}
