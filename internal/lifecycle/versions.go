// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// The versions of an APIKey are in the order in which they were registered. Of those that
// the manager has minted, at most one is Pending and at most one Active:
//
//	Pending   minted, and on its way to the auth servers and into the Secret
//	Active    what the Secret holds as api-key
//	Retiring  what the Secret held before: accepted until nobody uses it
//	Revoked   refused: an entry that goes when all auth servers are known to refuse it
//
// Imported ones go through the same states, and are in no Secret.
const (
	// maxVersions is the schema's bound on status.versions.
	maxVersions = 16
	// maxRotated leaves room for what has to be minted when the Secret was touched.
	maxRotated = maxVersions - 2
	// maxImporting leaves room for rotations.
	maxImporting = maxRotated - 2
)

type (
	status  = v1alpha1.APIKeyStatus
	version = v1alpha1.KeyVersion
)

// MintedIn returns the last version that the manager has minted and that is in this state,
// or nil.
func MintedIn(s *v1alpha1.APIKeyStatus, state v1alpha1.VersionState) *v1alpha1.KeyVersion {
	for i := len(s.Versions) - 1; i >= 0; i-- {
		if v := &s.Versions[i]; v.State == state && !v.Imported() {
			return v
		}
	}
	return nil
}

func pending(s *status) *version { return MintedIn(s, v1alpha1.VersionPending) }
func active(s *status) *version  { return MintedIn(s, v1alpha1.VersionActive) }

// current returns the version that is, or is going to be, the APIKey's key; nil for none.
func current(s *status) *version {
	if v := pending(s); v != nil {
		return v
	}
	return active(s)
}

// versionOf returns the version of that ID, or nil.
func versionOf(s *status, id string) *version {
	i := slices.IndexFunc(s.Versions, func(v version) bool { return v.ID == id })
	if i < 0 {
		return nil
	}
	return &s.Versions[i]
}

// anyAccepted reports whether auth servers may accept any version, as far as versions say.
func anyAccepted(s *status) bool {
	return slices.ContainsFunc(s.Versions, func(v version) bool { return v.State.Accepted() })
}

// end has v be refused from the next write of the status on.
func end(v *version, reason v1alpha1.RevocationReason) {
	v.State, v.RevocationReason = v1alpha1.VersionRevoked, reason
}

// endBy is end for what a user wanted.
func (d *decision) endBy(v *version, reason v1alpha1.RevocationReason) {
	end(v, reason)
	if name := d.Key.Annotations[v1alpha1.AnnotationRequestedBy]; name != "" {
		v.RevokedBy = &v1alpha1.UserReference{Username: cut(name, 253), UID: cut(d.Key.Annotations[v1alpha1.AnnotationRequestedByUID], 128)}
	}
}

// endMinted ends every version that the manager has minted.
func (d *decision) endMinted(reason v1alpha1.RevocationReason) {
	for i := range d.next.Versions {
		if v := &d.next.Versions[i]; v.State.Accepted() && !v.Imported() {
			end(v, reason)
		}
	}
}

// activate has v be what the Secret holds. If that takes the place of another, the other
// and those that were imported go on working until nobody uses them.
func (d *decision) activate(v *version) {
	rotates := active(&d.next) != nil
	for i := range d.next.Versions {
		old := &d.next.Versions[i]
		if rotates && old.ID != v.ID && (old.State == v1alpha1.VersionActive || old.Imported() && old.State == v1alpha1.VersionPending) {
			old.State, old.ReplacementTime = v1alpha1.VersionRetiring, ptr.To(metav1.NewTime(d.Now))
		}
	}
	v.State, v.ReplacementTime = v1alpha1.VersionActive, nil
	v.ActivationTime = ptr.To(metav1.NewTime(d.Now))
}

// previousOf returns the version that was replaced last and still works, or nil.
func previousOf(s *status) *version {
	var last *version
	for i := range s.Versions {
		v := &s.Versions[i]
		if v.State != v1alpha1.VersionRetiring || v.Imported() {
			continue
		}
		if last == nil || !timeOf(v.ReplacementTime, v.RegistrationTime).Before(timeOf(last.ReplacementTime, last.RegistrationTime)) {
			last = v
		}
	}
	return last
}

// timeOf is t, or other where there is none.
func timeOf(t *metav1.Time, other metav1.Time) time.Time { return ptr.Deref(t, other).Time }
