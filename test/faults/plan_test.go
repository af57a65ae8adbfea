// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// The bounds of every auth server here, as they follow from --max-staleness.
const (
	staleness = 3 * time.Second
	suspicion = staleness / 2
	// countedOut is when a manager counts a replica out that it heard of last at 0.
	countedOut = staleness + time.Second
	// reportedBy is when a revocation is reported at the latest that waits for such a
	// replica: a manager looks every second.
	reportedBy = countedOut + 2*time.Second
	replicas   = 3
)

// kind is a kind of fault.
type kind string

// The kinds of faults. Those of an auth server have it as their target.
const (
	killed       kind = "auth server killed, restarts in its pod"
	replaced     kind = "auth server killed, another pod takes its place"
	rolled       kind = "auth server ends gracefully, another pod takes its place"
	frozen       kind = "auth server frozen"
	stunned      kind = "auth server frozen in the midst of a renewal, its watches lagging"
	cutOff       kind = "auth server cut off from the API server"
	unheard      kind = "auth server's requests do not arrive"
	deaf         kind = "answers do not reach the auth server"
	lagging      kind = "auth server's watches bring nothing"
	mute         kind = "auth server's renewals are held back"
	late         kind = "auth server joins slowly while a key is revoked"
	shifted      kind = "auth server killed, restarts with a shifted clock"
	managerDies  kind = "manager killed"
	managerStops kind = "leading manager frozen beyond its lease"
	managerCut   kind = "leading manager cut off from the API server"
	managerWaits kind = "a list of Leases reaches the leading manager late"
	stale        kind = "API server's cache of Leases falls behind, and an auth server's watches bring nothing"
	// renewsLate is not drawn: it takes auth servers with a longer bound.
	renewsLate   kind = "auth server's last renewal arrives late"
	apiRestarts  kind = "API server restarts"
	apiStops     kind = "API server frozen"
	etcdRestarts kind = "etcd restarts"
	poisoned     kind = "an APIKey appears that no program can decode, and goes"
	bloated      kind = "an APIKey as large as is accepted appears, and goes"
)

// kinds has each kind as often as its turn comes. Those of control planes take longest.
var kinds = []kind{
	frozen, frozen, stunned, stunned, cutOff, cutOff, killed, killed, replaced, replaced, rolled, unheard, deaf, lagging, lagging, mute, late, late, shifted, shifted,
	managerDies, managerDies, managerStops, managerStops, managerCut, managerWaits, managerWaits, stale, stale,
	apiRestarts, apiStops, apiStops, etcdRestarts, poisoned, poisoned, bloated, bloated,
}

// fault is something that goes wrong for a while.
type fault struct {
	kind   kind
	target int
	// at is counted from the beginning of the round.
	at, lasts time.Duration
	// shift is that of a clock.
	shift time.Duration
}

func (f fault) String() string {
	text := fmt.Sprintf("%.1f-%.1f s %s", f.at.Seconds(), (f.at + f.lasts).Seconds(), f.kind)
	if f.shift != 0 {
		text += fmt.Sprintf(" (%s)", f.shift)
	}
	return text
}

// deed is what a user does.
type deed string

// What users do.
const (
	mints    deed = "mint"
	deletes  deed = "delete"
	suspends deed = "suspend"
	rotates  deed = "rotate"
)

// action is a deed at a time, to the key that choice chooses among those that are
// valid then.
type action struct {
	deed   deed
	at     time.Duration
	choice uint64
	// lasts is how long after its suspension was reported a key is resumed, or both keys
	// work before the one that was replaced is retired.
	lasts time.Duration
}

// round is some faults, and what users do before, in the midst of and after them.
type round struct {
	number  int
	faults  []fault
	actions []action
}

// newRound draws a round, and has it be about first, if that is one.
func newRound(seed uint64, number int, first ...kind) round {
	rng := rand.New(rand.NewPCG(seed, uint64(number)))
	r := round{number: number}
	if len(first) == 0 {
		first = append(first, kinds[rng.IntN(len(kinds))])
		if rng.IntN(3) == 0 {
			// Two faults at once.
			first = append(first, kinds[rng.IntN(len(kinds))])
		}
	}
	at := between(rng, 200*time.Millisecond, 700*time.Millisecond)
	for _, k := range first {
		f := fault{kind: k, target: rng.IntN(replicas), at: at, lasts: duration(rng, k)}
		if k == shifted {
			f.shift = between(rng, -48*time.Hour, 48*time.Hour).Round(time.Minute)
		}
		r.faults = append(r.faults, f)
		r.draw(rng, f)
		at += between(rng, 0, min(f.lasts, suspicion))
	}
	return r
}

// draw draws what users do around a fault: most of it just before it, and about
// when each of the bounds passes.
func (r *round) draw(rng *rand.Rand, f fault) {
	moment := func() time.Duration {
		switch rng.IntN(4) {
		case 0:
			return f.at + between(rng, -200*time.Millisecond, 100*time.Millisecond)
		case 1:
			return f.at + pick(rng, suspicion, staleness, countedOut) + between(rng, -400*time.Millisecond, 400*time.Millisecond)
		default:
			return f.at + between(rng, -100*time.Millisecond, f.lasts+200*time.Millisecond)
		}
	}
	for range 2 + rng.IntN(2) {
		r.actions = append(r.actions, action{deed: deletes, at: moment(), choice: rng.Uint64()})
	}
	for range 1 + rng.IntN(2) {
		r.actions = append(r.actions, action{deed: mints, at: moment()})
	}
	if rng.IntN(2) == 0 {
		r.actions = append(r.actions, action{deed: suspends, at: moment(), choice: rng.Uint64(), lasts: between(rng, 0, time.Second)})
	}
	for range 1 + rng.IntN(2) {
		r.actions = append(r.actions, action{deed: rotates, at: moment(), choice: rng.Uint64(), lasts: between(rng, 0, time.Second)})
	}
}

// duration draws how long a fault lasts: mostly about as long as a bound.
func duration(rng *rand.Rand, k kind) time.Duration {
	switch k {
	case apiRestarts, etcdRestarts:
		// They take as long as they take.
		return 0
	case killed, replaced, rolled, shifted, managerDies, bloated:
		return between(rng, 0, time.Second)
	case stunned, stale:
		return reportedBy + between(rng, -300*time.Millisecond, 300*time.Millisecond)
	case managerStops, managerCut:
		return between(rng, leaseDuration/2, 2*leaseDuration)
	case managerWaits:
		// Until a manager that looked at its clock late would count a replica out.
		return countedOut + between(rng, 0, 500*time.Millisecond)
	case mute, late:
		return between(rng, time.Second, staleness)
	default:
		return aboutABound(rng)
	}
}

// aboutABound is one of the durations about which something changes.
func aboutABound(rng *rand.Rand) time.Duration {
	const half = 500 * time.Millisecond
	switch rng.IntN(6) {
	case 0:
		return between(rng, 100*time.Millisecond, suspicion)
	case 1:
		return between(rng, suspicion, staleness)
	case 2:
		return staleness + between(rng, -half, half)
	case 3:
		return countedOut + between(rng, -half, 3*half)
	default:
		return reportedBy + between(rng, -half, half)
	}
}

func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)+1))
}

func pick[T any](rng *rand.Rand, choices ...T) T { return choices[rng.IntN(len(choices))] }
