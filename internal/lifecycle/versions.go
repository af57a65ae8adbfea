// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
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

func isImported(v *version) bool { return v.Imported() }
func isMinted(v *version) bool   { return !v.Imported() }
func isAccepted(v *version) bool { return v.State.Accepted() }

// those returns the versions that which selects, in their order.
func those(s *status, which func(*version) bool) (list []*version) {
	for i := range s.Versions {
		if v := &s.Versions[i]; which(v) {
			list = append(list, v)
		}
	}
	return list
}

// last returns the last of those, or nil.
func last(s *status, which func(*version) bool) *version {
	list := those(s, which)
	if len(list) == 0 {
		return nil
	}
	return list[len(list)-1]
}

// MintedIn returns the last version that the manager has minted and that is in this state,
// or nil.
func MintedIn(s *v1alpha1.APIKeyStatus, state v1alpha1.VersionState) *v1alpha1.KeyVersion {
	return last(s, func(v *version) bool { return v.State == state && !v.Imported() })
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
	return last(s, func(v *version) bool { return v.ID == id })
}

// end has v be refused from the next write of the status on. Of what a user wanted it says
// who that was.
func (d *decision) end(v *version, reason v1alpha1.RevocationReason) {
	v.State, v.RevocationReason = v1alpha1.VersionRevoked, reason
	wanted := reason == v1alpha1.RevokedRequested || reason == v1alpha1.RevokedUnlisted
	if name := d.Key.Annotations[v1alpha1.AnnotationRequestedBy]; wanted && name != "" {
		v.RevokedBy = &v1alpha1.UserReference{Username: cut(name, 253), UID: cut(d.Key.Annotations[v1alpha1.AnnotationRequestedByUID], 128)}
	}
}

// endAll ends the versions that work and that which selects.
func (d *decision) endAll(reason v1alpha1.RevocationReason, which func(*version) bool) {
	for _, v := range those(&d.next, isAccepted) {
		if which(v) {
			d.end(v, reason)
		}
	}
}

// activate has v be what the Secret holds. If that takes the place of another, the other
// and those that were imported go on working until nobody uses them.
func (d *decision) activate(v *version) {
	now := metav1.NewTime(d.Now)
	if active(&d.next) != nil {
		for _, old := range those(&d.next, func(old *version) bool { return old.ID != v.ID }) {
			if old.State == v1alpha1.VersionActive || old.Imported() && old.State == v1alpha1.VersionPending {
				old.State, old.ReplacementTime = v1alpha1.VersionRetiring, ptr.To(now)
			}
		}
	}
	v.State, v.ActivationTime, v.ReplacementTime = v1alpha1.VersionActive, ptr.To(now), nil
}

// previousOf returns the version that was replaced last and still works, or nil.
func previousOf(s *status) (latest *version) {
	for _, v := range those(s, func(v *version) bool { return v.State == v1alpha1.VersionRetiring && !v.Imported() }) {
		if latest == nil || !replacedAt(v).Before(replacedAt(latest)) {
			latest = v
		}
	}
	return latest
}

// replacedAt is when v was replaced.
func replacedAt(v *version) time.Time { return timeOf(v.ReplacementTime, v.RegistrationTime) }

// timeOf is t, or other where there is none.
func timeOf(t *metav1.Time, other metav1.Time) time.Time { return ptr.Deref(t, other).Time }
