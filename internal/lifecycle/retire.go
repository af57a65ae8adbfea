// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/rotation"
)

// Between these bounds is how often a key that was replaced is looked at, where time
// alone does not change the decision.
const (
	minRetireRecheck = time.Second
	maxRetireRecheck = time.Minute
)

// kept says for people why a key that was replaced still works.
var kept = map[rotation.Reason]string{
	rotation.KeptForMin:   "spec.rotation.overlap.min has not passed",
	rotation.KeptUnknown:  "an auth server has not reported whether it is used",
	rotation.KeptMoving:   "its consumers are being restarted",
	rotation.KeptUnproven: "its successor has not been used yet",
	rotation.KeptInUse:    "it has been used within spec.rotation.overlap.idle",
}

// retire ends the keys that were replaced and that nothing uses any more.
func (d *decision) retire() bool {
	overlap := rotation.OverlapOf(&d.Key.Spec.Rotation)
	for _, v := range those(&d.next, func(v *version) bool { return v.State == v1alpha1.VersionRetiring }) {
		facts := d.facts(v)
		facts.Moving = d.Rollout.Unfinished && !v.Imported()
		decision := rotation.Retire(d.Now, facts, overlap)
		if decision.Kept == "" {
			d.end(v, decision.Revoked)
			continue
		}
		d.again(min(max(decision.Again, minRetireRecheck), min(max(overlap.Idle/4, minRetireRecheck), maxRetireRecheck)))
		if d.turnover.reason == "" {
			d.turnover = found(v1alpha1.ReasonRetiring, "Key %s was replaced and still works: %s.", v.ID, kept[decision.Kept])
			if d.Rollout.Message != "" {
				d.turnover.message += " " + d.Rollout.Message
			}
		}
	}
	if d.turnover.reason == "" {
		d.turnover = finding{v1alpha1.ReasonUpToDate, "All previous keys are revoked."}
	}
	return d.keepPrevious()
}

// facts are what is known of v, which was replaced.
func (d *decision) facts(v *version) rotation.Facts {
	since := replacedAt(v)
	used := func(other *version) bool { return succeeds(other, v) && !d.lastUse(other).Before(since) }
	return rotation.Facts{
		Since: since, KnownUntil: d.Coverage.Until, LastUsed: latest(d.lastUse(v), d.Coverage.LastGap), SuccessorUsed: last(&d.next, used) != nil,
	}
}

// succeeds reports whether v came into the place of old, at once or later.
func succeeds(v, old *version) bool {
	if v.ID == old.ID || v.Imported() {
		return false
	}
	return v.State == v1alpha1.VersionActive ||
		v.State == v1alpha1.VersionRetiring && v.ReplacementTime != nil && old.ReplacementTime.Before(v.ReplacementTime)
}

// lastUse is when v was last seen in use: what was gathered, or what the status has.
func (d *decision) lastUse(v *version) time.Time {
	return latest(timeOf(v.LastUsedTime, metav1.Time{}), d.Uses[v.ID].LastUsed)
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// prune takes the versions out of the status that no auth server accepts any more. The
// others of the APIKey work meanwhile, so nothing else waits for it.
func (d *decision) prune() bool {
	var ids []string
	for _, v := range those(&d.next, func(v *version) bool { return v.State == v1alpha1.VersionRevoked }) {
		ids = append(ids, v.ID)
	}
	if len(ids) == 0 {
		return true
	}
	switch ack := d.await(Revoke, "%s", strings.Join(ids, " ")); {
	case ack.Complete:
		d.next.Versions = slices.DeleteFunc(d.next.Versions, func(v version) bool { return v.State == v1alpha1.VersionRevoked })
	case ack.Slow:
		d.turnover = finding{v1alpha1.ReasonRevoking, ack.wait("drop key " + strings.Join(ids, ", "))}
	}
	return true
}
