// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"strings"
	"time"

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
	for i := range d.next.Versions {
		v := &d.next.Versions[i]
		if v.State != v1alpha1.VersionRetiring {
			continue
		}
		facts := d.facts(v)
		facts.Moving = d.Rollout.Unfinished && !v.Imported()
		decision := rotation.Retire(d.Now, facts, overlap)
		if decision.Kept == "" {
			end(v, decision.Revoked)
			continue
		}
		d.again(min(max(decision.Again, minRetireRecheck), min(max(overlap.Idle/4, minRetireRecheck), maxRetireRecheck)))
		if d.turnover.reason == "" {
			message := fmt.Sprintf("Key %s was replaced and still works: %s.", v.ID, kept[decision.Kept])
			if d.Rollout.Message != "" {
				message += " " + d.Rollout.Message
			}
			d.turnover = finding{v1alpha1.ReasonRetiring, message}
		}
	}
	d.considered = true
	return d.keepPrevious()
}

// facts are what is known of v, which was replaced.
func (d *decision) facts(v *version) rotation.Facts {
	facts := rotation.Facts{Since: timeOf(v.ReplacementTime, v.RegistrationTime), KnownUntil: d.Coverage.Until, LastUsed: d.lastUse(v)}
	if d.Coverage.LastGap.After(facts.LastUsed) {
		facts.LastUsed = d.Coverage.LastGap
	}
	for i := range d.next.Versions {
		if other := &d.next.Versions[i]; succeeds(other, v) && !d.lastUse(other).Before(facts.Since) {
			facts.SuccessorUsed = true
		}
	}
	return facts
}

// succeeds reports whether v came into the place of old, at once or later.
func succeeds(v, old *version) bool {
	switch {
	case v.ID == old.ID || v.Imported():
		return false
	case v.State == v1alpha1.VersionActive:
		return true
	}
	return v.State == v1alpha1.VersionRetiring && v.ReplacementTime != nil && old.ReplacementTime.Before(v.ReplacementTime)
}

// lastUse is when v was last seen in use: what was gathered, or what the status has.
func (d *decision) lastUse(v *version) (last time.Time) {
	if v.LastUsedTime != nil {
		last = v.LastUsedTime.Time
	}
	if use := d.Uses[v.ID]; use.LastUsed.After(last) {
		last = use.LastUsed
	}
	return last
}

// prune takes the versions out of the status that no auth server accepts any more. The
// others of the APIKey work meanwhile, so nothing else waits for it.
func (d *decision) prune() bool {
	var ids []string
	for i := range d.next.Versions {
		if v := &d.next.Versions[i]; v.State == v1alpha1.VersionRevoked {
			ids = append(ids, v.ID)
		}
	}
	if len(ids) == 0 {
		return true
	}
	switch ack, known := d.await(Revoke, strings.Join(ids, " ")); {
	case !known:
	case ack.Complete:
		rest := d.next.Versions[:0]
		for _, v := range d.next.Versions {
			if !contains(ids, v.ID) {
				rest = append(rest, v)
			}
		}
		d.next.Versions = rest
	case ack.Slow:
		d.turnover = finding{v1alpha1.ReasonRevoking, ack.wait("drop key " + strings.Join(ids, ", "))}
	}
	return true
}
