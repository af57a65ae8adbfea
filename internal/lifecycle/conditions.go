// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
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

// judge derives every condition from what subjects found.
func (d *decision) judge() {
	if !d.Key.DeletionTimestamp.IsZero() {
		d.judgeDeletion()
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
	d.setPresence(v1alpha1.ConditionExpiringSoon, d.expiring())
	d.set(v1alpha1.ConditionPermitted, d.permission)
	d.set(v1alpha1.ConditionRegistered, d.registration)
	d.set(v1alpha1.ConditionPublished, d.publication)
	if d.considered || d.turnover.reason != "" {
		d.judgeTurnover()
	}
	if len(d.Key.Spec.ImportedKeys) == 0 {
		meta.RemoveStatusCondition(&d.next.Conditions, v1alpha1.ConditionImported)
	} else if d.imports.reason != "" {
		d.set(v1alpha1.ConditionImported, d.imports)
	}
	d.summarize(d.summary())
}

// judgeTurnover says how it stands with rotation, where there is any.
func (d *decision) judgeTurnover() {
	if d.turnover.reason == "" && !equality.Semantic.DeepEqual(d.Key.Spec.Rotation, v1alpha1.Rotation{}) {
		d.turnover = finding{v1alpha1.ReasonUpToDate, "All previous keys are revoked."}
	}
	if d.turnover.reason == "" {
		meta.RemoveStatusCondition(&d.next.Conditions, v1alpha1.ConditionRotated)
		return
	}
	d.set(v1alpha1.ConditionRotated, d.turnover)
}

// judgeDeletion says who a deletion waits for. A deletion that takes the usual milliseconds
// changes nothing.
func (d *decision) judgeDeletion() {
	if d.withdrawal.reason == "" {
		return
	}
	d.next.ObservedGeneration = d.Key.Generation
	d.set(v1alpha1.ConditionRegistered, d.withdrawal)
	if d.publication.reason != "" {
		d.set(v1alpha1.ConditionPublished, d.publication)
	}
	d.summarize(d.withdrawal)
}

// registered is how it stands with the registration or, where that was not looked at, what
// the versions say.
func (d *decision) registered() finding {
	v := current(&d.next)
	switch {
	case v == nil && d.registration.reason == "":
		return finding{v1alpha1.ReasonNotRegistered, "No key is registered."}
	case d.withdrawal.reason != "":
		return d.withdrawal
	case d.registration.reason != "":
		return d.registration
	case active(&d.next) != nil && d.next.AppliedGeneration != 0:
		return loadedByAll
	}
	return d.waiting()
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
	candidates := []finding{d.permission, d.stop, d.publication, d.registration, d.publication, d.pinned, d.imports, d.turnover, d.applying}
	if d.publication.reason == v1alpha1.ReasonNotPublished {
		// It waits for the registration, which says more.
		candidates[2] = finding{}
	}
	if d.turnover.reason == v1alpha1.ReasonRevoking {
		// A key that has ended is Rotated's to tell: the current one works all the time.
		candidates[7] = finding{}
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
	return found(v1alpha1.ReasonReady, "Secret %.100q holds key %s, and all auth servers have loaded it.", d.Key.SecretName(), d.next.KeyID)
}

// summarize sets Ready, Serving, and what kstatus reads beside them.
func (d *decision) summarize(summary finding) {
	row := standings[summary.reason]
	d.setStatus(v1alpha1.ConditionReady, conditionStatus(row.ready), summary)
	serving, status := d.serving(summary)
	d.setStatus(v1alpha1.ConditionServing, status, serving)
	progress := row.progress
	if progress == graced && d.inGrace() {
		progress = reconciling
	}
	if d.withdrawal.reason == v1alpha1.ReasonRevoking && progress != settled {
		progress, summary = reconciling, d.withdrawal
	}
	// Each is set once, or its time would be that of the last look.
	var underWay, stuck finding
	switch progress {
	case settled:
	case reconciling:
		underWay = summary
	case graced, stalled:
		stuck = summary
	}
	d.setPresence(v1alpha1.ConditionReconciling, underWay)
	d.setPresence(v1alpha1.ConditionStalled, stuck)
}

// serving says whether the key works now.
func (d *decision) serving(summary finding) (finding, metav1.ConditionStatus) {
	row := standings[summary.reason]
	resuming := d.next.AppliedGeneration == 0 && d.registration.reason != v1alpha1.ReasonRegistered
	switch {
	case d.withdrawal.reason == v1alpha1.ReasonRevoking:
		return d.withdrawal, metav1.ConditionUnknown
	case !d.Key.DeletionTimestamp.IsZero():
		return finding{v1alpha1.ReasonRevoked, summary.message}, metav1.ConditionFalse
	case d.next.Acceptance != v1alpha1.AcceptanceAccepted:
	case active(&d.next) != nil && resuming:
		return finding{v1alpha1.ReasonResuming, summary.message}, metav1.ConditionFalse
	case active(&d.next) != nil && d.expiring().reason != "":
		return finding{v1alpha1.ReasonExpiring, d.expiring().message}, metav1.ConditionTrue
	case active(&d.next) != nil:
		return finding{v1alpha1.ReasonActive, "The key works."}, metav1.ConditionTrue
	}
	reason := row.serving
	if reason == "" {
		reason = summary.reason
	}
	return finding{reason, summary.message}, metav1.ConditionFalse
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

// setPresence has a condition be True, or be absent where there is nothing to say.
func (d *decision) setPresence(conditionType string, f finding) {
	if f.reason == "" {
		meta.RemoveStatusCondition(&d.next.Conditions, conditionType)
		return
	}
	d.setStatus(conditionType, metav1.ConditionTrue, f)
}

func (d *decision) set(conditionType string, f finding) {
	d.setStatus(conditionType, conditionStatus(good[f.reason]), f)
}

func (d *decision) setStatus(conditionType string, status metav1.ConditionStatus, f finding) {
	SetCondition(&d.next.Conditions, conditionType, status, f.reason, f.message, d.next.ObservedGeneration, d.Now)
}

// SetCondition sets a condition whose message may quote what others have written.
func SetCondition(conditions *[]metav1.Condition, conditionType string, status metav1.ConditionStatus, reason, message string, generation int64, now time.Time) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: conditionType, Status: status, ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
		Reason: reason, Message: cut(plain.Text(message), maxMessage),
	})
}

func conditionStatus(ok bool) metav1.ConditionStatus {
	if ok {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}
