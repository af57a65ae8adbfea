// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/scope"
)

// What is what has happened to an APIKey or to one of its keys.
type What string

// All that can happen.
const (
	Minted        What = "Minted"        // a hash was registered for a new key
	Repaired      What = "Repaired"      // the same, in place of one whose Secret was touched
	Restored      What = "Restored"      // the same, in place of one that a backup has brought
	Duplicated    What = "Duplicated"    // a key ended whose hash an older APIKey has
	Imported      What = "Imported"      // a hash of spec.importedKeys was registered
	ImportRefused What = "ImportRefused" // a hash of spec.importedKeys is another APIKey's
	ImportStopped What = "ImportStopped" // spec.importedKeys is not realized
	Published     What = "Published"     // the Secret holds a key, for the first time
	Rotated       What = "Rotated"       // a key has taken the place of one that still works
	Undone        What = "Undone"        // a key that was replaced is the current one again
	InUse         What = "InUse"         // a key was revoked that may still be in use
	Ended         What = "Ended"         // no auth server accepts a key any more
	Refused       What = "Refused"       // the APIKey's keys are refused because they are not permitted
	Suspended     What = "Suspended"     // they are refused because somebody has suspended or blocked them
	Expired       What = "Expired"       // they are refused because their time is over
	Resumed       What = "Resumed"       // they are accepted again
	Widened       What = "Widened"       // they reach more scopes
	Warned        What = "Warned"        // the key is about to expire
	BackedOff     What = "BackedOff"     // the next key is minted later, because too many were lost
)

// Transition is one thing that has happened.
type Transition struct {
	What          What
	KeyID         string // "" where it is about the APIKey
	PreviousKeyID string // that of the one in whose place it is
	Reason        string // one of a condition or of a version
	Message       string
	RevokedBy     *v1alpha1.UserReference // who wanted that a key ends, as the version has it
	Replaced      bool                    // a key that ended was replaced before
	Early         bool                    // it is told before the write, for afterwards nobody could
	Use           Use                     // what is known of the key's
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
	for _, v := range those(before, func(v *version) bool { return versionOf(after, v.ID) == nil }) {
		t.tell(Transition{
			What: Ended, KeyID: v.ID, Reason: string(v.RevocationReason), RevokedBy: v.RevokedBy, Replaced: v.ReplacementTime != nil,
			Early: true, Use: f.Uses[v.ID],
		})
	}
	t.conditions()
	return t.list
}

// Endings are what the end of an APIKey tells: of each key that ends with it.
func Endings(key *v1alpha1.APIKey) (list []Transition) {
	for _, v := range key.Status.Versions {
		list = append(list, Transition{What: Ended, KeyID: v.ID, Early: true})
	}
	if len(list) == 0 {
		return []Transition{{What: Ended, Early: true}}
	}
	return list
}

type telling struct {
	*Facts
	before, after *status
	list          []Transition
}

func (t *telling) tell(one Transition) { t.list = append(t.list, one) }

// registered tells of a version that is new.
func (t *telling) registered(v *version) {
	tr := Transition{What: Minted, KeyID: v.ID, Reason: string(v.MintReason)}
	switch {
	case v.Imported():
		tr.What = Imported
	case v.MintReason == v1alpha1.MintRestored:
		tr.What = Restored
	case v.MintReason == v1alpha1.MintDrifted:
		tr.What = Repaired
		tr.PreviousKeyID = t.former(func(v *version) bool { return v.RevocationReason == v1alpha1.RevokedDrifted })
		if drift := t.before.Drift; drift != nil && drift.LostKeyID != "" {
			tr.PreviousKeyID = drift.LostKeyID
		}
	}
	t.tell(tr)
}

// former is the ID of the version that was the current one, if what it is now is so.
func (t *telling) former(is func(*version) bool) string {
	if old := active(t.before); old != nil {
		if v := versionOf(t.after, old.ID); v != nil && is(v) {
			return v.ID
		}
	}
	return ""
}

// changed tells what has become of a version.
func (t *telling) changed(old, v *version) {
	replaced := t.former(func(v *version) bool { return v.State == v1alpha1.VersionRetiring })
	switch {
	case old.State == v.State || v.Imported() && v.State != v1alpha1.VersionRevoked:
	case v.State == v1alpha1.VersionActive && old.State == v1alpha1.VersionPending:
		t.tell(Transition{What: Published, KeyID: v.ID, PreviousKeyID: replaced, Reason: string(v.MintReason)})
		if replaced != "" {
			t.tell(Transition{What: Rotated, KeyID: v.ID, PreviousKeyID: replaced, Reason: string(v.MintReason)})
		}
	case v.State == v1alpha1.VersionActive:
		t.tell(Transition{What: Undone, KeyID: v.ID, PreviousKeyID: replaced})
	case v.RevocationReason == v1alpha1.RevokedInUse:
		t.tell(Transition{What: InUse, KeyID: v.ID, Use: t.Uses[v.ID]})
	case v.RevocationReason == v1alpha1.RevokedDuplicate && !v.Imported():
		t.tell(Transition{What: Duplicated, KeyID: v.ID})
	}
}

// admission tells that keys are refused from now on, or accepted again.
func (t *telling) admission() {
	was, is := condition(t.before, v1alpha1.ConditionPermitted), condition(t.after, v1alpha1.ConditionPermitted)
	tr := Transition{KeyID: t.after.KeyID, Reason: is.Reason, Message: is.Message}
	flipped, worked := t.before.Acceptance != t.after.Acceptance, last(t.before, isAccepted) != nil
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
	case !worked || t.before.Acceptance == "":
	case t.before.Acceptance == v1alpha1.AcceptanceExpired:
		tr.What, tr.Reason, tr.Message = Resumed, v1alpha1.ReasonExpired, ""
	case was.Status == metav1.ConditionFalse:
		tr.What, tr.Reason, tr.Message = Resumed, was.Reason, ""
	default:
		tr.What, tr.Reason, tr.Message = Resumed, v1alpha1.ReasonSuspended, ""
	}
	if tr.What != "" {
		t.tell(tr)
	}
	widened := scope.Of(t.after.Scopes...).Without(scope.Of(t.before.Scopes...))
	if worked && len(t.before.Scopes) > 0 && !widened.Empty() {
		t.tell(Transition{What: Widened, KeyID: t.after.KeyID, Message: widened.String()})
	}
}

// conditions tells what conditions say that they did not say before.
func (t *telling) conditions() {
	for _, row := range []struct {
		what      What
		condition string
		worth     func(reason string) bool
	}{
		{Warned, v1alpha1.ConditionExpiringSoon, func(reason string) bool { return reason != "" }},
		{BackedOff, v1alpha1.ConditionPublished, func(reason string) bool { return reason == v1alpha1.ReasonDriftBackOff }},
		{ImportStopped, v1alpha1.ConditionImported, func(reason string) bool { return standings[reason].progress == stalled }},
	} {
		was, is := condition(t.before, row.condition), condition(t.after, row.condition)
		if row.worth(is.Reason) && (was.Reason != is.Reason || was.Message != is.Message) {
			t.tell(Transition{What: row.what, Reason: is.Reason, Message: is.Message})
		}
	}
	reason := condition(t.after, v1alpha1.ConditionImported).Reason
	for _, hash := range t.after.RefusedImports {
		if reason == v1alpha1.ReasonImportRefused && !slices.Contains(t.before.RefusedImports, hash) {
			t.tell(Transition{What: ImportRefused, KeyID: keys.KeyIDOf(hash), Reason: reason, Message: hash})
		}
	}
}

func condition(s *status, conditionType string) metav1.Condition {
	return ptr.Deref(meta.FindStatusCondition(s.Conditions, conditionType), metav1.Condition{})
}
