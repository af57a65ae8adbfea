// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// The versions of an APIKey are in the order in which they were registered. Of those
// that the manager has minted, at most one is Pending and at most one Active:
//
//	Pending   minted, and on its way to the auth servers and into the Secret
//	Active    what the Secret holds as api-key
//	Retiring  what the Secret held before: accepted until nobody uses it
//	Revoked   refused: an entry that goes when each auth server is known to refuse it
//
// Imported ones are Active, Retiring or Revoked, and in no Secret.
const (
	// maxVersions is the schema's bound on status.versions.
	maxVersions = 16
	// maxRotated leaves room for what has to be minted when the Secret was touched.
	maxRotated = maxVersions - 2
)

// minted returns the last version that the manager has minted and that is in this
// state, or nil.
func minted(key *v1alpha1.APIKey, state v1alpha1.VersionState) *v1alpha1.KeyVersion {
	for i := len(key.Status.Versions) - 1; i >= 0; i-- {
		if v := &key.Status.Versions[i]; v.State == state && !v.Imported() {
			return v
		}
	}
	return nil
}

// pending returns the version that is on its way into the Secret, or nil.
func (p *pass) pending() *v1alpha1.KeyVersion { return minted(p.key, v1alpha1.VersionPending) }

// active returns the version that the Secret is to hold now, or nil.
func (p *pass) active() *v1alpha1.KeyVersion { return minted(p.key, v1alpha1.VersionActive) }

// current returns the version that is, or is going to be, the APIKey's key; nil if
// there is none.
func (p *pass) current() *v1alpha1.KeyVersion {
	if pending := p.pending(); pending != nil {
		return pending
	}
	return p.active()
}

// version returns the version of that ID, or nil.
func (p *pass) version(id string) *v1alpha1.KeyVersion {
	i := slices.IndexFunc(p.key.Status.Versions, func(v v1alpha1.KeyVersion) bool { return v.ID == id })
	if i < 0 {
		return nil
	}
	return &p.key.Status.Versions[i]
}

// end has v be refused from the next write of the status on.
func end(v *v1alpha1.KeyVersion, reason v1alpha1.RevocationReason) {
	v.State, v.RevocationReason = v1alpha1.VersionRevoked, reason
}

// endMinted ends every version that the manager has minted.
func (p *pass) endMinted(reason v1alpha1.RevocationReason) {
	for i := range p.key.Status.Versions {
		if v := &p.key.Status.Versions[i]; v.State.Accepted() && !v.Imported() {
			end(v, reason)
		}
	}
}

// retire has the versions that version takes the place of go on working until nobody
// uses them: the one that was Active, and those that were imported.
func (p *pass) retire(version *v1alpha1.KeyVersion) {
	for i := range p.key.Status.Versions {
		v := &p.key.Status.Versions[i]
		if v.State == v1alpha1.VersionActive && v.ID != version.ID {
			v.State, v.ReplacementTime = v1alpha1.VersionRetiring, ptr.To(metav1.NewTime(p.now))
		}
	}
}

// activate has version be what the Secret holds.
func (p *pass) activate(version *v1alpha1.KeyVersion) {
	version.State, version.ReplacementTime = v1alpha1.VersionActive, nil
	version.ActivationTime = ptr.To(metav1.NewTime(p.now))
}

// accepted reports whether auth servers may accept any version, as far as versions say.
func (p *pass) accepted() bool {
	return slices.ContainsFunc(p.key.Status.Versions, func(v v1alpha1.KeyVersion) bool { return v.State.Accepted() })
}

// moved reports whether the pass has changed anything in the status but conditions.
func (p *pass) moved() bool {
	before, after := p.observed.Status, p.key.Status
	before.Conditions, after.Conditions = nil, nil
	before.ObservedGeneration, after.ObservedGeneration = 0, 0
	return !equality.Semantic.DeepEqual(before, after)
}
