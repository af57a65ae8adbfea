// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/scope"
)

// What is what has happened to an APIKey or to one of its keys.
type What string

const (
	// Minted: a hash was registered for a new key.
	Minted What = "Minted"
	// Repaired: the same, in place of one whose Secret was touched.
	Repaired What = "Repaired"
	// Restored: the same, in place of one that a backup has brought.
	Restored What = "Restored"
	// Duplicated: a key ended whose hash an older APIKey has.
	Duplicated What = "Duplicated"
	// Imported: a hash of spec.importedKeys was registered.
	Imported What = "Imported"
	// ImportRefused: a hash of spec.importedKeys is another APIKey's.
	ImportRefused What = "ImportRefused"
	// ImportStopped: spec.importedKeys is not realized.
	ImportStopped What = "ImportStopped"
	// Published: the Secret holds a key, for the first time.
	Published What = "Published"
	// Rotated: a key has taken the place of one that still works.
	Rotated What = "Rotated"
	// Undone: a key that was replaced is the current one again.
	Undone What = "Undone"
	// InUse: a key was revoked that may still be in use.
	InUse What = "InUse"
	// Ended: no auth server accepts a key any more.
	Ended What = "Ended"
	// Refused: the APIKey's keys are refused because they are not permitted.
	Refused What = "Refused"
	// Suspended: they are refused because somebody has suspended or blocked them.
	Suspended What = "Suspended"
	// Expired: they are refused because their time is over.
	Expired What = "Expired"
	// Resumed: they are accepted again.
	Resumed What = "Resumed"
	// Widened: they reach more scopes.
	Widened What = "Widened"
	// Warned: the key is about to expire.
	Warned What = "Warned"
	// BackedOff: the next key is minted later, because too many were lost.
	BackedOff What = "BackedOff"
)

// Transition is one thing that has happened.
type Transition struct {
	What What
	// KeyID is the key's; "" where it is about the APIKey. PreviousKeyID is that of the one
	// in whose place it is.
	KeyID, PreviousKeyID string
	// Reason is one of a condition or of a version.
	Reason  string
	Message string
	// RevokedBy is the user who wanted that a key ends, as the version has it.
	RevokedBy *v1alpha1.UserReference
	// Replaced: a key that ended was replaced before.
	Replaced bool
	// Early: it is told before the write, for afterwards nobody could.
	Early bool
	// Use is what is known of the key's.
	Use Use
}

// Transitions are what a write of the status of f.Key tells, in the order in which it is to
// be told. They read conditions, as other observers do.
func Transitions(f *Facts, after *v1alpha1.APIKeyStatus) []Transition {
	before := &f.Key.Status
	if !f.Key.StatusIsOwn() {
		before = &v1alpha1.APIKeyStatus{}
	}
	t := &telling{Facts: f, before: before, after: after}
	t.admission()
	for i := range after.Versions {
		v := &after.Versions[i]
		if old := versionOf(before, v.ID); old != nil {
			t.changed(old, v)
		} else {
			t.registered(v)
		}
	}
	for i := range before.Versions {
		if v := &before.Versions[i]; versionOf(after, v.ID) == nil {
			t.list = append(t.list, Transition{
				What: Ended, KeyID: v.ID, Reason: string(v.RevocationReason), RevokedBy: v.RevokedBy, Replaced: v.ReplacementTime != nil, Early: true, Use: f.Uses[v.ID],
			})
		}
	}
	t.conditions()
	return t.list
}

// Endings are what the end of an APIKey tells: of each key that ends with it.
func Endings(key *v1alpha1.APIKey) []Transition {
	if len(key.Status.Versions) == 0 {
		return []Transition{{What: Ended, Early: true}}
	}
	var list []Transition
	for i := range key.Status.Versions {
		list = append(list, Transition{What: Ended, KeyID: key.Status.Versions[i].ID, Early: true})
	}
	return list
}

type telling struct {
	*Facts
	before, after *status
	list          []Transition
}

// registered tells of a version that is new.
func (t *telling) registered(v *version) {
	tr := Transition{What: Minted, KeyID: v.ID, Reason: string(v.MintReason)}
	switch {
	case v.Imported():
		tr.What = Imported
	case v.MintReason == v1alpha1.MintDrifted:
		tr.What, tr.PreviousKeyID = Repaired, t.lost()
	case v.MintReason == v1alpha1.MintRestored:
		tr.What = Restored
	}
	t.list = append(t.list, tr)
}

// lost is the ID of the key that was lost because its Secret was touched.
func (t *telling) lost() string {
	if drift := t.before.Drift; drift != nil && drift.LostKeyID != "" {
		return drift.LostKeyID
	}
	for i := range t.after.Versions {
		v := &t.after.Versions[i]
		if old := versionOf(t.before, v.ID); v.RevocationReason == v1alpha1.RevokedDrifted && old != nil && old.State == v1alpha1.VersionActive {
			return v.ID
		}
	}
	return ""
}

// changed tells what has become of a version.
func (t *telling) changed(old, v *version) {
	switch {
	case old.State == v.State || v.Imported() && v.State != v1alpha1.VersionRevoked:
	case v.State == v1alpha1.VersionActive && old.State == v1alpha1.VersionPending:
		t.list = append(t.list, Transition{What: Published, KeyID: v.ID, PreviousKeyID: t.replaced(), Reason: string(v.MintReason)})
		if t.replaced() != "" {
			t.list = append(t.list, Transition{What: Rotated, KeyID: v.ID, PreviousKeyID: t.replaced(), Reason: string(v.MintReason)})
		}
	case v.State == v1alpha1.VersionActive:
		t.list = append(t.list, Transition{What: Undone, KeyID: v.ID, PreviousKeyID: t.replaced()})
	case v.RevocationReason == v1alpha1.RevokedInUse:
		t.list = append(t.list, Transition{What: InUse, KeyID: v.ID, Use: t.Uses[v.ID]})
	case v.RevocationReason == v1alpha1.RevokedDuplicate && !v.Imported():
		t.list = append(t.list, Transition{What: Duplicated, KeyID: v.ID})
	}
}

// replaced is the ID of the version that is no longer the current one, and works.
func (t *telling) replaced() string {
	for i := range t.after.Versions {
		v := &t.after.Versions[i]
		old := versionOf(t.before, v.ID)
		if v.State == v1alpha1.VersionRetiring && !v.Imported() && old != nil && old.State == v1alpha1.VersionActive {
			return v.ID
		}
	}
	return ""
}

// admission tells that keys are refused from now on, or accepted again.
func (t *telling) admission() {
	was, is := condition(t.before, v1alpha1.ConditionPermitted), condition(t.after, v1alpha1.ConditionPermitted)
	tr := Transition{KeyID: t.after.KeyID, Reason: is.Reason, Message: is.Message}
	flipped := t.before.Acceptance != t.after.Acceptance
	switch {
	case is.Status == metav1.ConditionFalse && (flipped || was.Reason != is.Reason):
		tr.What = Refused
		if tr.KeyID != "" && (is.Reason == v1alpha1.ReasonOrganizationSuspended || is.Reason == v1alpha1.ReasonBlocked) {
			tr.What = Suspended
		}
	case !flipped:
	case t.after.Acceptance == v1alpha1.AcceptanceExpired:
		tr.What, tr.Reason = Expired, v1alpha1.ReasonExpired
	case t.after.Acceptance == v1alpha1.AcceptanceWithdrawn:
		tr.What, tr.Reason, tr.Message = Suspended, v1alpha1.ReasonSuspended, ""
	case anyAccepted(t.before) && t.before.Acceptance != "":
		tr.What, tr.Reason, tr.Message = Resumed, t.stoppedFor(was), ""
	}
	if tr.What != "" {
		t.list = append(t.list, tr)
	}
	widened := scope.Of(t.after.Scopes...).Without(scope.Of(t.before.Scopes...))
	if len(t.before.Scopes) > 0 && anyAccepted(t.before) && !widened.Empty() {
		t.list = append(t.list, Transition{What: Widened, KeyID: t.after.KeyID, Message: widened.String()})
	}
}

// stoppedFor is why keys had been refused that are accepted again.
func (t *telling) stoppedFor(permitted metav1.Condition) string {
	switch {
	case t.before.Acceptance == v1alpha1.AcceptanceExpired:
		return v1alpha1.ReasonExpired
	case permitted.Status == metav1.ConditionFalse:
		return permitted.Reason
	}
	return v1alpha1.ReasonSuspended
}

// conditions tells what conditions say for the first time.
func (t *telling) conditions() {
	if is := condition(t.after, v1alpha1.ConditionExpiringSoon); t.says(is) {
		t.list = append(t.list, Transition{What: Warned, Reason: is.Reason, Message: is.Message})
	}
	if is := condition(t.after, v1alpha1.ConditionPublished); is.Reason == v1alpha1.ReasonDriftBackOff && t.says(is) {
		t.list = append(t.list, Transition{What: BackedOff, Reason: is.Reason, Message: is.Message})
	}
	is := condition(t.after, v1alpha1.ConditionImported)
	if standings[is.Reason].progress == stalled && t.says(is) {
		t.list = append(t.list, Transition{What: ImportStopped, Reason: is.Reason, Message: is.Message})
	}
	for _, hash := range t.after.RefusedImports {
		if !slices.Contains(t.before.RefusedImports, hash) && is.Reason == v1alpha1.ReasonImportRefused {
			t.list = append(t.list, Transition{What: ImportRefused, KeyID: keys.KeyIDOf(hash), Reason: is.Reason, Message: hash})
		}
	}
}

// says reports whether a condition says something that it did not say before.
func (t *telling) says(is metav1.Condition) bool {
	was := condition(t.before, is.Type)
	return is.Reason != "" && (was.Reason != is.Reason || was.Message != is.Message)
}

func condition(s *status, conditionType string) metav1.Condition {
	if c := meta.FindStatusCondition(s.Conditions, conditionType); c != nil {
		return *c
	}
	return metav1.Condition{}
}
