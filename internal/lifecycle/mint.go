// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"cmp"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/rotation"
)

// recheckConflict is how often something is looked at that no watch tells of.
const recheckConflict = 15 * time.Second

// register makes sure that the APIKey has a version that is, or can be, published; if not, a
// key is minted and its hash registered.
func (d *decision) register() bool {
	v := current(&d.next)
	switch {
	case d.main.state == secretForeign:
		// What the Secret held before is in unknown hands.
		if v != nil {
			d.noteDrift("")
		}
		d.endAll(v1alpha1.RevokedConflict, isMinted)
		return false
	case v == nil:
		return d.mintAnother()
	case d.Senior:
		d.endAll(v1alpha1.RevokedDuplicate, isMinted)
		return d.mint(v1alpha1.MintDuplicate)
	case v.ID == d.main.id:
		return true
	case v.State == v1alpha1.VersionPending:
		return d.resume(v)
	case d.main.id != "" && d.main.id == d.next.KeyID:
		// The two keys have changed places, and the Secret was not written since. If it was,
		// somebody has put the one that was replaced into the other's place.
		return true
	}
	return d.replaceDrifted(v.ID)
}

// mintAnother mints a key for an APIKey that has none, if that is not put off.
func (d *decision) mintAnother() bool {
	revoked := func(v *version) bool { return v.RevocationReason == v1alpha1.RevokedRequested && !v.Imported() }
	switch {
	case d.backsOff():
		return false
	case last(&d.next, revoked) != nil:
		return d.mint(v1alpha1.MintRevoked)
	case d.next.Drift != nil && d.next.Drift.LostKeyID != "":
		return d.mint(v1alpha1.MintDrifted)
	case d.main.state == secretLeftover, d.next.RestoredFrom != "":
		return d.mint(v1alpha1.MintRestored)
	}
	return d.mint(v1alpha1.MintRequested)
}

// replaceDrifted ends every key that was minted, for nobody knows any more who has the one
// of that ID, and mints another, if that is not put off.
func (d *decision) replaceDrifted(id string) bool {
	d.endAll(v1alpha1.RevokedDrifted, isMinted)
	d.noteDrift(id)
	return !d.backsOff() && d.mint(v1alpha1.MintDrifted)
}

// resume goes on with a version whose key is in no Secret yet.
func (d *decision) resume(v *version) bool {
	old := active(&d.next)
	switch {
	case old != nil && d.main.id == "":
		return d.replaceDrifted(old.ID)
	case d.Minted == v.ID:
		return true
	case old != nil && !d.fenced(v):
		return false
	}
	// The process that minted it is gone, and its key with it.
	d.end(v, v1alpha1.RevokedAbandoned)
	return d.mint(v.MintReason)
}

// fenced reports whether a mark in the Secret keeps a manager that was paused on its way to
// publish v from doing so: either it has seen the Secret before, and its write is
// conditional on that, or it sees the mark, which stays. If there is none it is set.
func (d *decision) fenced(v *version) bool {
	switch {
	case !d.Secret.Live:
		return d.askSecrets()
	case d.marked(v):
		return true
	case !d.Held.Has(d.main.id):
		d.again(recheckConflict)
		return false
	}
	return d.write(SecretWrite{KeyID: d.main.id, Mark: v.ID})
}

// marked reports whether a mark in the Secret says that v is given up.
func (d *decision) marked(v *version) bool {
	return d.Secret.Secret != nil && d.Secret.Secret.Annotations[v1alpha1.AnnotationAbandonedKeyID] == v.ID
}

// mint registers the hash of a new key. Versions that work go on working, until the new key
// takes their place; those that were ended are refused from the same write on.
func (d *decision) mint(reason v1alpha1.MintReason) bool {
	invalid := keys.ValidateTemplates(Templates(d.Key))
	switch {
	case invalid != nil:
		d.publication = found(v1alpha1.ReasonInvalidTemplate, "spec.secret.data: %v", invalid)
		return false
	case len(d.next.Versions) >= maxVersions:
		d.registration = found(v1alpha1.ReasonNotRegistered, "Not minting: %d versions are still being revoked.", maxVersions)
		return false
	case d.Unwritable != "":
		d.registration = d.unwritable()
		d.again(recheckConflict)
		return false
	case d.Fresh == nil:
		d.plan.Ask.Digest = true
		return false
	case len(d.next.Versions) == 0:
		// No auth server accepts a key of an earlier generation. One that was revoked may be
		// accepted as long as its entry stays.
		d.next.AppliedGeneration = d.Key.Generation
	}
	d.next.Versions = append(d.next.Versions, version{
		ID: d.Fresh.KeyID(), SHA256: d.Fresh.String(), State: v1alpha1.VersionPending, MintReason: reason,
		RegistrationTime: metav1.NewTime(rotation.RegisteredAt(d.Now, &d.Key.Spec.Rotation)),
	})
	d.next.RestoredFrom = ""
	if d.next.Drift != nil {
		d.next.Drift.LostKeyID = ""
	}
	return false
}

// restoredFrom is the UID of the APIKey that a status with keys was written for, where that
// is another one.
func restoredFrom(key *v1alpha1.APIKey) types.UID {
	if key.StatusIsOwn() || len(key.Status.Versions) == 0 && key.Status.RestoredFrom == "" {
		return ""
	}
	return cmp.Or(key.Status.UID, "unknown")
}

// FromBackup reports whether an APIKey comes from a backup, with its status, and neither has its
// spec changed nor a key been minted since. Where others can write a status the API server
// stamps nobody either, so the stamp is of the one who asked before.
func FromBackup(key *v1alpha1.APIKey) bool {
	return key.Generation == 1 && (restoredFrom(key) != "" || key.Status.RestoredFrom != "")
}

// unwritable says that no hash can be registered because the finalizer is refused.
func (d *decision) unwritable() finding {
	return found(v1alpha1.ReasonWriteRefused,
		"The finalizer of this APIKey is refused (%s). Look at the cluster's admission policies.", d.Unwritable)
}
