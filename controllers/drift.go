// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// A key whose Secret somebody touches is revoked at once. What takes its place comes at
// once the first time, and later and later if it happens again: who may write the Secret
// must not make the manager mint, write and audit as fast as they can write.
//
//	lost   1   2    3    4    …   11      12 and more
//	wait   0   1s   2s   4s       8m32s   10m
//
// How often it was is in the status, so that no restart of a manager begins anew. While
// it is put off there is no key: nothing that was revoked is accepted.
const (
	driftDelay    = time.Second
	driftMaxDelay = 10 * time.Minute
	// driftForgotten is how long nobody may have touched the Secret for the next time to
	// be a first one again.
	driftForgotten = 2 * driftMaxDelay
)

// noteDrift counts that the key was lost; id is its ID, where another takes its place.
func (p *pass) noteDrift(id string) {
	before := p.key.Status.Drift
	drift := &v1alpha1.DriftStatus{Count: 1, LastTime: metav1.NewTime(p.now.Truncate(time.Second)), LostKeyID: id}
	if before != nil && p.now.Sub(before.LastTime.Time) < driftForgotten {
		drift.Count = before.Count + 1
	}
	p.key.Status.Drift = drift
}

// delayOf is how long after the last of count losses the next key is minted.
func delayOf(count int32) time.Duration {
	switch doublings := count - 2; {
	case doublings < 0:
		return 0
	case doublings < 10: // with more it is more than the most in any case
		return min(driftDelay<<doublings, driftMaxDelay)
	}
	return driftMaxDelay
}

// driftWait is how long after now the next key is minted; 0 for at once.
func driftWait(drift *v1alpha1.DriftStatus, now time.Time) time.Duration {
	if drift == nil {
		return 0
	}
	delay := delayOf(drift.Count)
	// A clock that was set back makes nobody wait for longer than that.
	return max(0, min(delay, drift.LastTime.Add(delay).Sub(now)))
}

// lostKeyID is the ID of the key in whose place the next one is minted, or "".
func lostKeyID(status *v1alpha1.APIKeyStatus) string {
	if status.Drift == nil {
		return ""
	}
	return status.Drift.LostKeyID
}

// backsOff reports whether no key is minted yet because too many were lost, and says so.
func (r *APIKeyReconciler) backsOff(p *pass) bool {
	drift := p.key.Status.Drift
	wait := driftWait(drift, p.now)
	if wait == 0 {
		return false
	}
	// The same at each look, or each would be a write.
	message := fmt.Sprintf("The Secret was deleted, edited or replaced %d times in a row. The next key is minted at %s. Find out what changes the Secret, and stop it.",
		drift.Count, drift.LastTime.Add(delayOf(drift.Count)).UTC().Format(time.RFC3339))
	p.publication = waiting(v1alpha1.ReasonDriftBackOff, message)
	p.lookAgain(wait)
	before := meta.FindStatusCondition(p.observed.Status.Conditions, v1alpha1.ConditionPublished)
	if before == nil || before.Reason != v1alpha1.ReasonDriftBackOff || before.Message != message {
		p.tell(func(context.Context) { r.Events.backsOff(p.key, message) })
	}
	return true
}

// repairs has, by the UID of each APIKey, what its Secret was last written as, and how
// long to wait before it is written as that once more: others who change what the manager
// puts right must not have it write as fast as they can. Nobody loses a key by that, so it
// need not outlive the process.
type repairs struct {
	backoff *flowcontrol.Backoff
	written sync.Map
}

func newRepairs(clock clock.Clock) *repairs {
	backoff := flowcontrol.NewBackOff(driftDelay, driftMaxDelay)
	backoff.Clock = clock
	return &repairs{backoff: backoff}
}

// wait is how long to wait before form is written; 0 for at once.
func (r *repairs) wait(uid types.UID, form string, now time.Time) time.Duration {
	if !r.wrote(uid, form) || !r.backoff.IsInBackOffSinceUpdate(string(uid), now) {
		return 0
	}
	return r.backoff.Get(string(uid))
}

// wrote reports whether form is what was written last.
func (r *repairs) wrote(uid types.UID, form string) bool {
	last, ok := r.written.Load(uid)
	return ok && last == form
}

// note remembers that form was written, and reports whether it had been before.
func (r *repairs) note(uid types.UID, form string, now time.Time) (again bool) {
	if last, ok := r.written.Swap(uid, form); !ok || last != form {
		r.backoff.DeleteEntry(string(uid))
		return false
	}
	r.backoff.Next(string(uid), now)
	return true
}

// giveUp is how long to wait before a key is given up because of a mark in the Secret; 0 for
// at once, of which note is taken.
func (r *repairs) giveUp(uid types.UID, now time.Time) time.Duration {
	if r.backoff.IsInBackOffSinceUpdate(markOf(uid), now) {
		return r.backoff.Get(markOf(uid))
	}
	r.backoff.Next(markOf(uid), now)
	return 0
}

// markOf is the name of an APIKey's marks in backoff.
func markOf(uid types.UID) string { return "mark " + string(uid) }

func (r *repairs) forget(uid types.UID) {
	r.written.Delete(uid)
	r.backoff.DeleteEntry(string(uid))
	r.backoff.DeleteEntry(markOf(uid))
}

// form changes with whatever makes the Secret of an APIKey another, but for what others do.
func form(key *v1alpha1.APIKey, current string) string {
	parts := []string{fmt.Sprint(key.Generation), key.Status.OrganizationID, current}
	for i := range key.Status.Versions {
		if v := &key.Status.Versions[i]; v.State.Accepted() {
			parts = append(parts, v.ID)
		}
	}
	slices.Sort(parts[3:])
	return strings.Join(parts, " ")
}

// putsOffRepair reports whether the Secret holds the key that it is to hold, and what else
// somebody has changed in it was put right too often to do so again just now.
func (r *APIKeyReconciler) putsOffRepair(p *pass, version *v1alpha1.KeyVersion) bool {
	if version.State != v1alpha1.VersionActive || p.holds != version.ID || p.secret != secretOutdated {
		return false
	}
	wait := r.repairs.wait(p.key.UID, form(p.key, version.ID), p.now)
	if wait > 0 {
		p.lookAgain(wait)
	}
	return wait > 0
}

// noteWritten notes that the Secret was written with current as its key.
func (r *APIKeyReconciler) noteWritten(p *pass, current string) {
	if r.repairs.note(p.key.UID, form(p.key, current), p.now) {
		p.tell(func(context.Context) { r.Events.repaired(p.key) })
	}
}
