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
// APIKey that is older keeps it, as at auth servers.

// fate is what becomes of a hash of spec.importedKeys.
type fate int

const (
	unheard    fate = iota // imports are forbidden: it counts for nothing until they are permitted
	malformed              // it is none; the schema refuses it
	registered             // it is or was a version: one of status.imports
	declined               // it is or was another's: one of status.refusedImports
	postponed              // it waits for room, or for an end to be written
	unclaimed              // it is to become a version, if nobody else has it
)

// importing is what becomes of spec.importedKeys.
type importing struct {
	*decision
	fates map[string]fate
}

// reconcileImports has the versions agree with spec.importedKeys. The current key waits for
// none of it.
func (d *decision) reconcileImports() bool {
	i := &importing{d, map[string]fate{}}
	for _, listed := range d.Key.Spec.ImportedKeys {
		i.fates[listed.SHA256] = i.consider(listed.SHA256)
	}
	d.endAll(v1alpha1.RevokedUnlisted, func(v *version) bool {
		_, listed := i.fates[v.SHA256]
		return v.Imported() && !listed
	})
	if d.forbidsImports() {
		d.endAll(v1alpha1.RevokedForbidden, isImported)
	}
	for _, hash := range i.hashes(unclaimed) {
		i.fates[hash] = i.claim(hash)
	}
	d.next.Imports, d.next.RefusedImports = i.hashes(registered), i.hashes(declined)
	slices.Sort(d.next.Imports)
	slices.Sort(d.next.RefusedImports)
	if len(i.fates) > 0 {
		d.imports = i.verdict(i.activateLoaded())
	}
	return true
}

// forfeit ends what an APIKey has imported that its Organization blocks, so that whoever it
// belongs to can import it. It has to be listed anew should the block be lifted: who is to
// have it the admin has decided.
func (d *decision) forfeit() {
	if d.permission.reason != v1alpha1.ReasonBlocked {
		return
	}
	d.endAll(v1alpha1.RevokedBlocked, isImported)
	d.next.Imports, d.next.RefusedImports = nil, nil
	for _, listed := range d.Key.Spec.ImportedKeys {
		if _, err := keys.ParseDigest(listed.SHA256); err == nil {
			d.next.RefusedImports = append(d.next.RefusedImports, listed.SHA256)
		}
	}
	slices.Sort(d.next.RefusedImports)
	if len(d.Key.Spec.ImportedKeys) > 0 {
		d.imports = finding{v1alpha1.ReasonBlocked,
			"The Organization blocks this APIKey. No key of spec.importedKeys is accepted, and others may import them."}
	}
}

func (d *decision) forbidsImports() bool {
	return d.Organization.EffectiveImports() == v1alpha1.ImportForbidden
}

// hashes are those with a fate, in the order in which they are listed.
func (i *importing) hashes(its fate) (list []string) {
	for _, listed := range i.Key.Spec.ImportedKeys {
		if i.fates[listed.SHA256] == its {
			list = append(list, listed.SHA256)
		}
	}
	return list
}

// consider decides about one hash of the list.
func (i *importing) consider(hash string) fate {
	digest, err := keys.ParseDigest(hash)
	if err != nil {
		return malformed
	}
	v := versionOf(&i.next, digest.KeyID())
	imported := v != nil && v.SHA256 == hash && v.Imported()
	works := imported && v.State.Accepted()
	elder := func(r Rival) bool { return r.Same && r.Senior }
	alike := func(other string) bool { return keys.KeyIDOf(other) == digest.KeyID() }
	switch {
	case slices.Contains(i.next.RefusedImports, hash):
		return declined
	case i.forbidsImports() && (works || !slices.Contains(i.next.Imports, hash)):
		// What has retired before is remembered: it does not come back when imports are
		// permitted again.
		return unheard
	case works && slices.ContainsFunc(i.Rivals[hash], elder):
		i.end(v, v1alpha1.RevokedDuplicate)
		return declined
	case slices.Contains(i.next.Imports, hash):
		return registered
	case v != nil && v.SHA256 != hash:
		// Twelve digits can be made to agree, with some effort.
		return declined
	case imported && !works, v == nil && i.Key.StatusIsOwn() && versionOf(&i.Key.Status, digest.KeyID()) != nil:
		// That it has ended is written, and told, before it can begin anew.
		return postponed
	case v != nil:
		// It works already. When it ends it has ended.
		return registered
	case slices.ContainsFunc(i.hashes(unclaimed), alike), len(i.Rivals[hash]) > 0:
		return declined
	case len(i.next.Versions)+len(i.hashes(unclaimed)) >= maxImporting:
		return postponed
	}
	return unclaimed
}

// claim registers a hash, if it was reserved for this APIKey.
//
// How old such a key is nobody knows. Its age is counted from the creation of the APIKey:
// whatever is done with the list, it never becomes younger by that.
func (i *importing) claim(hash string) fate {
	reserved, asked := i.Claims[hash]
	switch digest, _ := keys.ParseDigest(hash); {
	case i.Unwritable != "":
		return unclaimed
	case !asked:
		i.plan.Ask.Claims = append(i.plan.Ask.Claims, digest)
		return unclaimed
	case !reserved:
		return declined
	}
	i.next.Versions = append(i.next.Versions, version{
		ID: keys.KeyIDOf(hash), SHA256: hash, State: v1alpha1.VersionPending, Origin: v1alpha1.OriginImported,
		RegistrationTime: i.Key.CreationTimestamp,
	})
	return registered
}

// activateLoaded has imported keys be accepted that all auth servers have loaded, and returns what
// is known of those that some have not.
func (i *importing) activateLoaded() Ack {
	loading := those(&i.next, func(v *version) bool {
		return v.Imported() && v.State == v1alpha1.VersionPending && versionOf(&i.Key.Status, v.ID) != nil
	})
	if len(loading) == 0 || !i.stored() {
		return Ack{}
	}
	var ids []string
	for _, v := range loading {
		ids = append(ids, v.ID)
	}
	ack := i.await(Register, "imported %s, generation %d", strings.Join(ids, " "), i.Key.Generation)
	if !ack.Complete {
		return ack
	}
	for _, v := range loading {
		v.State, v.ActivationTime = v1alpha1.VersionActive, ptr.To(metav1.NewTime(i.Now))
	}
	return Ack{}
}

// verdict is how it stands with spec.importedKeys.
func (i *importing) verdict(ack Ack) finding {
	taken := i.hashes(registered)
	working := those(&i.next, func(v *version) bool { return v.State.Accepted() && slices.Contains(taken, v.SHA256) })
	loading := slices.ContainsFunc(working, func(v *version) bool { return v.State == v1alpha1.VersionPending })
	switch late := i.hashes(postponed); {
	case i.forbidsImports():
		return found(v1alpha1.ReasonImportForbidden,
			"Organization %.100q does not permit imports. Ask a platform admin to set its spec.imports, or take the keys out of spec.importedKeys.",
			i.Organization.Name)
	case len(i.hashes(declined))+len(i.hashes(malformed)) > 0:
		return finding{v1alpha1.ReasonImportRefused, i.refused()}
	case i.Unwritable != "" && len(i.hashes(unclaimed)) > 0:
		return i.unwritable()
	case len(late) > 0:
		for n := range late {
			late[n] = keys.KeyIDOf(late[n])
		}
		return found(v1alpha1.ReasonImporting,
			"Not importing %s yet: earlier keys of this APIKey are still being revoked.", strings.Join(late, ", "))
	case i.tooOld():
		return finding{v1alpha1.ReasonImportExpired,
			"This APIKey is older than the Organization's spec.maxKeyAge, so no imported key is accepted. " +
				"Move clients to the key in the Secret, or import into a new APIKey."}
	case loading && ack.Slow:
		return finding{v1alpha1.ReasonImporting, i.loading(ack).message}
	case loading:
		return finding{v1alpha1.ReasonImporting, "Waiting for auth servers to load the keys."}
	case len(working) < len(taken):
		return found(v1alpha1.ReasonImported, "%d of %d keys of spec.importedKeys work. The others have retired.", len(working), len(taken))
	}
	return found(v1alpha1.ReasonImported, "%d of %d keys of spec.importedKeys work.", len(working), len(taken))
}

// refused names as many of the hashes that were refused as people read. It names nobody who
// has them: others need not learn that they exist, and what becomes of them must be no
// change, and so no write, for everybody who lists the hash.
func (i *importing) refused() string {
	const advice = " A key belongs to one APIKey. Take it out of spec.importedKeys; put back, it is considered anew."
	var parts []string
	for _, hash := range i.next.RefusedImports {
		parts = append(parts, i.why(hash))
	}
	if len(i.hashes(malformed)) > 0 {
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
	id, rivals := keys.KeyIDOf(hash), i.Rivals[hash]
	switch v := versionOf(&i.next, id); {
	case v != nil && v.SHA256 != hash:
		return fmt.Sprintf("%s… has the key ID of another key of this APIKey.", hash[:16])
	case len(rivals) > 0 && !slices.ContainsFunc(rivals, func(r Rival) bool { return r.Same }):
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
	left := i.Key.CreationTimestamp.Add(i.maxKeyAge()).Sub(i.Now)
	i.again(left)
	return left <= 0
}
