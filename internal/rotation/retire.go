// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"time"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// Facts are what is known of a key that was replaced.
type Facts struct {
	// Since is when it was replaced.
	Since time.Time
	// SuccessorUsed: the key that took its place has been seen in use.
	SuccessorUsed bool
	// LastUsed is when it was last seen in use, or may have been without being seen;
	// zero for never.
	LastUsed time.Time
	// KnownUntil is the time up to which its use is known, from every auth server; zero
	// if some was never heard.
	KnownUntil time.Time
	// Moving: workloads that are to take the new key have not finished their rollout.
	Moving bool
}

// Reason is why a key that was replaced is kept.
type Reason string

const (
	// KeptForMin: overlap.min has not passed.
	KeptForMin Reason = "WithinMin"
	// KeptUnknown: some auth server has not told whether the key is used.
	KeptUnknown Reason = "UsageUnknown"
	// KeptMoving: workloads are still being restarted.
	KeptMoving Reason = "RolloutUnfinished"
	// KeptUnproven: the successor has not been seen in use.
	KeptUnproven Reason = "SuccessorUnused"
	// KeptInUse: the key has not been idle for overlap.idle.
	KeptInUse Reason = "InUse"
)

// Decision is what becomes of a key that was replaced: it is revoked or kept, for one
// reason.
type Decision struct {
	Revoked v1alpha1.RevocationReason
	Kept    Reason
	// Again is how long until time alone may change the decision.
	Again time.Duration
}

// tolerated is how old knowledge of use may be and still be said to be that: it is
// gathered now and then.
const tolerated = 2 * time.Minute

// Retire decides whether a key that was replaced is to be revoked at now.
func Retire(now time.Time, facts Facts, overlap Bounds) Decision {
	age := now.Sub(facts.Since)
	untilMax := overlap.Max - age
	switch {
	case untilMax <= 0:
		reason := v1alpha1.RevokedAtMax
		if used := facts.lastUse(); facts.KnownUntil.Before(facts.Since) || facts.KnownUntil.Sub(used) < overlap.Idle && used.After(facts.Since) {
			reason = v1alpha1.RevokedInUse
		}
		return Decision{Revoked: reason}
	case age < overlap.Min:
		return Decision{Kept: KeptForMin, Again: min(overlap.Min-age, untilMax)}
	case facts.Moving:
		return Decision{Kept: KeptMoving, Again: untilMax}
	case facts.KnownUntil.Before(facts.Since):
		return Decision{Kept: KeptUnknown, Again: untilMax}
	case !facts.SuccessorUsed:
		return Decision{Kept: KeptUnproven, Again: untilMax}
	}
	idle := facts.KnownUntil.Sub(facts.lastUse())
	switch {
	case idle >= overlap.Idle:
		return Decision{Revoked: v1alpha1.RevokedUnused}
	case now.Sub(facts.KnownUntil) > tolerated:
		return Decision{Kept: KeptUnknown, Again: untilMax}
	case now.Sub(facts.lastUse()) >= overlap.Idle:
		// It looks idle as far as is known, but that is not far enough yet.
		return Decision{Kept: KeptInUse, Again: untilMax}
	}
	return Decision{Kept: KeptInUse, Again: min(overlap.Idle-now.Sub(facts.lastUse()), untilMax)}
}

// lastUse is when the key was last in use: at the moment when it was replaced it
// counts as used.
func (f *Facts) lastUse() time.Time {
	if f.LastUsed.After(f.Since) {
		return f.LastUsed
	}
	return f.Since
}
