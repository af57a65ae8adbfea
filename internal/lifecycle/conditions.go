// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/plain"
)

// finding is how it stands with something: a reason of api/v1alpha1, "" for nothing to say,
// and a message that says what is, and then what to do.
type finding struct{ reason, message string }

func found(reason, format string, values ...any) finding {
	return finding{reason, fmt.Sprintf(format, values...)}
}

// progress is what kstatus reads beside Ready.
type progress int

const (
	settled     progress = iota // neither Reconciling nor Stalled
	reconciling                 // it is going to happen without a person
	graced                      // reconciling for a minute, and then stalled
	stalled                     // a person has to change something that nobody asked for
)

// standing is what a reason of Ready means for the other conditions. docs/conditions.md has
// the same table.
type standing struct {
	ready bool
	// serving is the reason of Serving where no key works; "" for the same reason. Where a
	// key works it is Active or Expiring.
	serving  string
	progress progress
	// aside: it is told in another condition, and has no part in Ready.
	aside bool
}

var standings = map[string]standing{
	v1alpha1.ReasonReady:                 {ready: true},
	v1alpha1.ReasonSuspended:             {ready: true},
	v1alpha1.ReasonExpired:               {ready: true},
	v1alpha1.ReasonOrganizationSuspended: {ready: true, serving: v1alpha1.ReasonSuspended},

	v1alpha1.ReasonOrganizationNotFound:  {serving: v1alpha1.ReasonRefused, progress: graced},
	v1alpha1.ReasonNamespaceNotPermitted: {serving: v1alpha1.ReasonRefused, progress: graced},
	v1alpha1.ReasonScopeNotPermitted:     {serving: v1alpha1.ReasonRefused, progress: graced},
	v1alpha1.ReasonOrganizationChanged:   {serving: v1alpha1.ReasonRefused, progress: stalled},
	v1alpha1.ReasonInvalidOrganization:   {serving: v1alpha1.ReasonRefused, progress: stalled},
	v1alpha1.ReasonInvalidSelector:       {serving: v1alpha1.ReasonRefused, progress: stalled},
	v1alpha1.ReasonInvalidObject:         {serving: v1alpha1.ReasonRefused, progress: stalled},
	v1alpha1.ReasonBlocked:               {serving: v1alpha1.ReasonRefused, progress: stalled},

	v1alpha1.ReasonNotRegistered:         {serving: v1alpha1.ReasonPending, progress: reconciling},
	v1alpha1.ReasonNotPublished:          {serving: v1alpha1.ReasonPending, progress: reconciling},
	v1alpha1.ReasonWaitingForAuthServers: {serving: v1alpha1.ReasonPending, progress: reconciling},
	v1alpha1.ReasonNoAuthServer:          {progress: reconciling},
	v1alpha1.ReasonResuming:              {progress: reconciling},
	v1alpha1.ReasonApplying:              {progress: reconciling},
	v1alpha1.ReasonRevoking:              {progress: reconciling},
	v1alpha1.ReasonRevoked:               {progress: reconciling},
	v1alpha1.ReasonDriftBackOff:          {progress: reconciling},
	v1alpha1.ReasonImporting:             {progress: reconciling},

	v1alpha1.ReasonSecretConflict:       {progress: stalled},
	v1alpha1.ReasonSecretRefused:        {progress: stalled},
	v1alpha1.ReasonWriteRefused:         {progress: stalled},
	v1alpha1.ReasonInvalidTemplate:      {progress: stalled},
	v1alpha1.ReasonActiveKeyUnavailable: {progress: stalled},
	v1alpha1.ReasonInvalidWindow:        {progress: stalled},
	v1alpha1.ReasonImportRefused:        {progress: stalled},
	v1alpha1.ReasonImportForbidden:      {progress: stalled},
	v1alpha1.ReasonImportExpired:        {progress: stalled},

	v1alpha1.ReasonRotating:    {aside: true},
	v1alpha1.ReasonRetiring:    {aside: true},
	v1alpha1.ReasonTooManyKeys: {aside: true},
}

// good are the reasons for which a condition is True.
var good = map[string]bool{
	v1alpha1.ReasonPermitted: true, v1alpha1.ReasonRegistered: true, v1alpha1.ReasonPublished: true, v1alpha1.ReasonImported: true,
	v1alpha1.ReasonUpToDate: true,
}

// maxMessage is the most that a condition says, in bytes: as much as a person reads. The API
// takes 32 KiB, and a status with more is not written at all.
const maxMessage = 300

// cut shortens text to n bytes.
func cut(text string, n int) string {
	const more = "…"
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n-len(more)], "") + more
}

// judge derives every condition from what subjects found. What they did not look at stays as
// it is.
func (d *decision) judge() {
	if !d.Key.DeletionTimestamp.IsZero() {
		// A deletion that takes the usual milliseconds changes nothing.
		if d.withdrawal.reason != "" {
			d.next.ObservedGeneration = d.Key.Generation
			d.set(v1alpha1.ConditionRegistered, d.withdrawal)
			d.set(v1alpha1.ConditionPublished, d.publication)
			d.summarize(d.withdrawal)
		}
		return
	}
	d.next.UID = d.Key.UID
	if !d.brief || d.next.ObservedGeneration == 0 {
		d.next.ObservedGeneration = d.Key.Generation
	}
	if current(&d.next) == nil {
		d.next.KeyID, d.next.SecretRef = "", nil
	}
	d.registration, d.publication = d.registered(), d.published()
	d.setStatus(v1alpha1.ConditionExpiringSoon, metav1.ConditionTrue, d.expiring())
	d.set(v1alpha1.ConditionPermitted, d.permission)
	d.set(v1alpha1.ConditionRegistered, d.registration)
	d.set(v1alpha1.ConditionPublished, d.publication)
	d.set(v1alpha1.ConditionRotated, d.turnover)
	d.set(v1alpha1.ConditionImported, d.imports)
	if len(d.Key.Spec.ImportedKeys) == 0 {
		meta.RemoveStatusCondition(&d.next.Conditions, v1alpha1.ConditionImported)
	}
	if d.turnover.reason == v1alpha1.ReasonUpToDate && equality.Semantic.DeepEqual(d.Key.Spec.Rotation, v1alpha1.Rotation{}) {
		// Nothing was said about rotation.
		meta.RemoveStatusCondition(&d.next.Conditions, v1alpha1.ConditionRotated)
	}
	d.summarize(d.summary())
}

// registered is how it stands with the registration or, where that was not looked at, what
// the versions say.
func (d *decision) registered() finding {
	switch {
	case current(&d.next) == nil && d.registration.reason == "":
		return finding{v1alpha1.ReasonNotRegistered, "No key is registered."}
	case d.withdrawal.reason != "":
		return d.withdrawal
	case d.registration.reason != "":
		return d.registration
	}
	return d.loading(Ack{Complete: active(&d.next) != nil && d.next.AppliedGeneration != 0})
}

// published is the same for the Secret.
func (d *decision) published() finding {
	v := active(&d.next)
	switch {
	case d.publication.reason != "":
		return d.publication
	case v != nil:
		return found(v1alpha1.ReasonPublished, "Secret %.100q holds key %s.", d.Key.SecretName(), v.ID)
	}
	return finding{v1alpha1.ReasonNotPublished, "The key is published when all auth servers have loaded its hash."}
}

// summary is the first thing that keeps the spec from being realized. What is wanted, as a
// suspension, is realized when no auth server accepts the key.
func (d *decision) summary() finding {
	candidates := []finding{d.permission, d.stop, d.publication, d.registration, d.pinned, d.imports, d.turnover, d.applying}
	if d.publication.reason == v1alpha1.ReasonNotPublished {
		// It waits for the registration, which says more.
		candidates[2], candidates[3] = d.registration, d.publication
	}
	if d.turnover.reason == v1alpha1.ReasonRevoking {
		// A key that has ended is Rotated's to tell: the current one works all the time.
		candidates[6] = finding{}
	}
	for _, f := range candidates {
		switch {
		case f.reason == "" || good[f.reason] || standings[f.reason].aside:
		case standings[f.reason].ready && d.withdrawal.reason == v1alpha1.ReasonRevoking:
			return d.withdrawal
		default:
			return f
		}
	}
	ready := found(v1alpha1.ReasonReady, "Secret %.100q holds key %s, and all auth servers have loaded it.", d.Key.SecretName(), d.next.KeyID)
	gone := slices.DeleteFunc(slices.Clone(d.Key.Spec.RevokedKeyIDs), func(id string) bool { return versionOf(&d.next, id) != nil })
	if len(gone) > 0 {
		// One that was mistyped must not look as if it was revoked.
		ready.message += " spec.revokedKeyIDs lists IDs that no key of this APIKey has, or that are already revoked: " +
			strings.Join(gone, ", ") + "."
	}
	return ready
}

// summarize sets Ready, Serving, and what kstatus reads beside them.
func (d *decision) summarize(summary finding) {
	row := standings[summary.reason]
	d.setStatus(v1alpha1.ConditionReady, conditionStatus[row.ready], summary)
	serving, status := d.serving(summary)
	d.setStatus(v1alpha1.ConditionServing, status, serving)
	kstatus := row.progress
	if kstatus == graced {
		kstatus = stalled
		if d.inGrace() {
			kstatus = reconciling
		}
	}
	if d.withdrawal.reason == v1alpha1.ReasonRevoking && kstatus != settled {
		kstatus, summary = reconciling, d.withdrawal
	}
	// Each is set once, or its time would be that of the last look.
	var advancing, stuck finding
	if kstatus == reconciling {
		advancing = summary
	}
	if kstatus == stalled {
		stuck = summary
	}
	d.setStatus(v1alpha1.ConditionReconciling, metav1.ConditionTrue, advancing)
	d.setStatus(v1alpha1.ConditionStalled, metav1.ConditionTrue, stuck)
}

// serving says whether the key works now.
func (d *decision) serving(summary finding) (finding, metav1.ConditionStatus) {
	accepted := d.next.Acceptance == v1alpha1.AcceptanceAccepted && active(&d.next) != nil
	expiring := d.expiring()
	switch {
	case d.withdrawal.reason == v1alpha1.ReasonRevoking:
		return d.withdrawal, metav1.ConditionUnknown
	case !d.Key.DeletionTimestamp.IsZero():
		return finding{v1alpha1.ReasonRevoked, summary.message}, metav1.ConditionFalse
	case accepted && d.next.AppliedGeneration == 0 && d.registration.reason != v1alpha1.ReasonRegistered:
		return finding{v1alpha1.ReasonResuming, summary.message}, metav1.ConditionFalse
	case accepted && expiring.reason != "":
		return finding{v1alpha1.ReasonExpiring, expiring.message}, metav1.ConditionTrue
	case accepted:
		return finding{v1alpha1.ReasonActive, "The key works."}, metav1.ConditionTrue
	}
	return finding{cmp.Or(standings[summary.reason].serving, summary.reason), summary.message}, metav1.ConditionFalse
}

// grace is how long what is not there yet, as an Organization that is applied together with
// its APIKeys, may take to come before it is Stalled: Flux fails fast.
const grace = time.Minute

// inGrace reports whether the APIKey has not been refused for long, and has the next look
// come when it has.
func (d *decision) inGrace() bool {
	permitted := meta.FindStatusCondition(d.next.Conditions, v1alpha1.ConditionPermitted)
	left := permitted.LastTransitionTime.Add(grace).Sub(d.Now)
	d.again(left)
	return left > 0
}

// set has a condition say what was found.
func (d *decision) set(conditionType string, f finding) {
	if f.reason != "" {
		d.setStatus(conditionType, conditionStatus[good[f.reason]], f)
	}
}

// setStatus sets a condition, or has it be absent where there is nothing to say.
func (d *decision) setStatus(conditionType string, status metav1.ConditionStatus, f finding) {
	if f.reason == "" {
		meta.RemoveStatusCondition(&d.next.Conditions, conditionType)
		return
	}
	SetCondition(&d.next.Conditions, conditionType, status, f.reason, f.message, d.next.ObservedGeneration, d.Now)
}

// SetCondition sets a condition whose message may quote what others have written.
func SetCondition(
	conditions *[]metav1.Condition, conditionType string, status metav1.ConditionStatus, reason, message string,
	generation int64, now time.Time,
) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: conditionType, Status: status, ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
		Reason: reason, Message: cut(plain.Text(message), maxMessage),
	})
}

// conditionStatus is that of what holds, and of what does not.
var conditionStatus = map[bool]metav1.ConditionStatus{true: metav1.ConditionTrue, false: metav1.ConditionFalse}
