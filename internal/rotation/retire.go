// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import "time"

// Facts are what is known of a key that was replaced.
type Facts struct {
	// Since is when it was replaced.
	Since time.Time
	// Ordered: whoever wrote the manifest wants it ended now.
	Ordered bool
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

// Reason is why a key that was replaced is kept or ended.
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
	// KeptInUse: the key has not been quiet for overlap.quiet.
	KeptInUse Reason = "InUse"
	// EndedUnused: the successor is in use, and the key has been quiet.
	EndedUnused Reason = "Unused"
	// EndedOrdered: spec.rotation.retire says so.
	EndedOrdered Reason = "Ordered"
	// EndedAtMax: overlap.max has passed, and the key was out of use.
	EndedAtMax Reason = "MaxReached"
	// EndedInUse: overlap.max has passed, and the key may still have been in use.
	EndedInUse Reason = "MaxReachedInUse"
)

// Decision is what becomes of a key that was replaced.
type Decision struct {
	// End: the key is to be revoked now.
	End    bool
	Reason Reason
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
	case facts.Ordered:
		return Decision{End: true, Reason: EndedOrdered}
	case untilMax <= 0:
		reason := EndedAtMax
		if used := facts.lastUse(); facts.KnownUntil.Before(facts.Since) || facts.KnownUntil.Sub(used) < overlap.Quiet && used.After(facts.Since) {
			reason = EndedInUse
		}
		return Decision{End: true, Reason: reason}
	case age < overlap.Min:
		return Decision{Reason: KeptForMin, Again: min(overlap.Min-age, untilMax)}
	case facts.Moving:
		return Decision{Reason: KeptMoving, Again: untilMax}
	case facts.KnownUntil.Before(facts.Since):
		return Decision{Reason: KeptUnknown, Again: untilMax}
	case !facts.SuccessorUsed:
		return Decision{Reason: KeptUnproven, Again: untilMax}
	}
	quiet := facts.KnownUntil.Sub(facts.lastUse())
	switch {
	case quiet >= overlap.Quiet:
		return Decision{End: true, Reason: EndedUnused}
	case now.Sub(facts.KnownUntil) > tolerated:
		return Decision{Reason: KeptUnknown, Again: untilMax}
	case now.Sub(facts.lastUse()) >= overlap.Quiet:
		// It looks quiet as far as is known, but that is not far enough yet.
		return Decision{Reason: KeptInUse, Again: untilMax}
	}
	return Decision{Reason: KeptInUse, Again: min(overlap.Quiet-now.Sub(facts.lastUse()), untilMax)}
}

// lastUse is when the key was last in use: at the moment when it was replaced it
// counts as used.
func (f *Facts) lastUse() time.Time {
	if f.LastUsed.After(f.Since) {
		return f.LastUsed
	}
	return f.Since
}
