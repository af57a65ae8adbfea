// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// simPlan is a schedule: all that is drawn before it begins. The faults are drawn so
// that they are likely to matter: they last about as long as the bounds, and users
// revoke and mint in the midst of them.
type simPlan struct {
	seed     uint64
	replicas []simBounds
	horizon  time.Duration
	// lasts is the least horizon.
	lasts time.Duration
	// asks is the time between two rounds of requests to one replica.
	asks  time.Duration
	steps []simStep
	// drifts: clocks are fast or slow. apart: those of managers are as fast, and those of
	// replicas as slow, as NTP lets them be.
	drifts, apart bool
	slow          float64
	// slowest is the longest that a slow message takes.
	slowest             time.Duration
	lost, lag, breaks   float64
	streamedLists, dies bool
	// unfaithful: watches of auth servers do not keep their contract.
	unfaithful bool
	// staged: something is made to happen, so less is left to chance.
	staged bool
	// leases counts the names that were given.
	leases int
}

// simBounds are what one auth server is configured with.
type simBounds struct {
	staleness, suspect, renew, compare time.Duration
}

// simStep is something that happens at a time of the schedule.
type simStep struct {
	at   time.Duration
	what string
	do   func(*simWorld)
}

// simPick returns one of the choices.
func simPick[T any](rng *rand.Rand, choices ...T) T { return choices[rng.IntN(len(choices))] }

// simBetween returns a duration from least to most.
func simBetween(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)+1))
}

func newSimPlan(seed uint64) *simPlan {
	rng := rand.New(rand.NewPCG(seed, 0))
	p := &simPlan{seed: seed, asks: 120 * time.Millisecond}
	situation := simSituations()[0]
	if p.staged = rng.IntN(3) == 0; p.staged {
		situation = simPick(rng, simSituations()[1:]...)
	}
	situation.bound(p, rng)
	p.drifts = p.drifts || rng.IntN(3) == 0
	p.slow = simPick(rng, 0, 0.01, 0.05, 0.2)
	p.slowest = time.Duration(float64(time.Second) * simPick(rng, 0.3, 1, 2.5, 5, 9))
	p.lost = simPick(rng, 0, 0, 0.02, 0.1)
	p.lag = simPick(rng, 0, 0.05, 0.3)
	p.breaks = simPick(rng, 0, 0, 0.05)
	p.streamedLists = rng.IntN(2) == 0
	staleness := p.replicas[0].staleness
	p.horizon = 5*time.Second + time.Duration(float64(staleness+margin(staleness))*(1.5+3*rng.Float64()))
	if p.long() {
		p.horizon = staleness*3/2 + time.Minute
	}
	p.horizon = max(p.horizon, p.lasts)
	p.draw(rng)
	situation.stage(p, rng)
	slices.SortStableFunc(p.steps, func(a, b simStep) int { return int(a.at - b.at) })
	return p
}

// long reports whether the bounds are such that a schedule takes minutes.
func (p *simPlan) long() bool { return p.replicas[0].staleness >= 100*time.Second }

// boundAnyhow draws the bounds of a schedule in which anything may happen.
func (p *simPlan) boundAnyhow(rng *rand.Rand) {
	staleness := time.Duration(float64(time.Second) * simPick(rng, 2, 2, 2.5, 3, 3, 3, 4, 4, 6, 8, 8, 12, 16))
	if rng.IntN(20) == 0 {
		staleness = simBetween(rng, 100*time.Second, 300*time.Second).Round(time.Second)
		p.asks, p.drifts = time.Second, true
	}
	for range 1 + rng.IntN(4) {
		p.bound(rng, staleness, 0.15+0.6*rng.Float64(), 0.2+0.7*rng.Float64())
	}
}

// bound has one more replica, that becomes suspect after a share of its staleness, and
// renews after a share of that.
func (p *simPlan) bound(rng *rand.Rand, staleness time.Duration, suspectAfter, renewAfter float64) {
	suspect := time.Duration(float64(staleness) * suspectAfter)
	p.replicas = append(p.replicas, simBounds{
		staleness: staleness, suspect: suspect,
		// A calm network leaves time for a renewal.
		renew:   min(time.Duration(float64(suspect)*renewAfter), suspect-150*time.Millisecond),
		compare: simBetween(rng, 15*time.Second, 60*time.Second),
	})
}

// network draws how well one process is connected.
func (p *simPlan) network(rng *rand.Rand, manager bool) simNetwork {
	distorted := 0.0
	if p.unfaithful && !manager {
		distorted = 0.2
	}
	return simNetwork{
		loses: distorted, doubles: distorted, swaps: distorted / 4,
		latency: simPick(rng, 200*time.Microsecond, time.Millisecond, 5*time.Millisecond, 30*time.Millisecond),
		slow:    p.slow * simPick(rng, 0.0, 1, 2), slowest: p.slowest, lost: p.lost, lag: p.lag, breaks: p.breaks, streamedLists: p.streamedLists,
	}
}

// mostDrift of one clock in parts per million (RFC 5905, section 11.3).
const mostDrift = 500

// drift draws by how many parts per million the clock of a manager or of a replica is
// fast.
func (p *simPlan) drift(rng *rand.Rand, manager bool) float64 {
	switch {
	case p.apart && manager:
		return mostDrift
	case p.apart:
		return -mostDrift
	case p.drifts:
		return simPick(rng, -mostDrift, mostDrift, float64(rng.IntN(2*mostDrift+1)-mostDrift))
	}
	return 0
}

func (p *simPlan) step(at time.Duration, what string, do func(*simWorld)) {
	if at >= 0 && at < p.horizon {
		p.steps = append(p.steps, simStep{at, what, do})
	}
}

// draw draws what happens, and when.
func (p *simPlan) draw(rng *rand.Rand) {
	for slot := range p.replicas {
		lease := p.newLease(slot)
		p.restart(slot, simBetween(rng, 0, 100*time.Millisecond), &lease)
	}
	p.step(simBetween(rng, 0, 50*time.Millisecond), "", (*simWorld).startManager)
	for range 2 + rng.IntN(3) {
		p.step(simBetween(rng, 0, 10*time.Millisecond), "", (*simWorld).mint)
	}
	// Some have a key that was replaced from early on, which can be retired in the midst
	// of what follows.
	for range rng.IntN(3) {
		p.step(simBetween(rng, 500*time.Millisecond, 2500*time.Millisecond), "", (*simWorld).rotateSome)
	}
	for range rng.IntN(4) {
		p.step(simBetween(rng, 0, p.horizon), "", (*simWorld).mint)
		p.step(simBetween(rng, 0, p.horizon), "", (*simWorld).deleteSome)
	}
	for range rng.IntN(4) {
		p.step(simBetween(rng, 0, p.horizon), "", (*simWorld).rotateSome)
		p.step(simBetween(rng, 0, p.horizon), "", simPick(rng, (*simWorld).endSome, (*simWorld).undoSome))
	}
	faults := 1 + rng.IntN(8)
	if p.long() || p.staged {
		faults = rng.IntN(3)
	}
	for range faults {
		p.fault(rng)
	}
}

// duration draws how long a fault lasts: mostly about as long as one of the bounds.
func (p *simPlan) duration(rng *rand.Rand, slot int) time.Duration {
	b := p.replicas[slot]
	half := 500 * time.Millisecond
	switch rng.IntN(6) {
	case 0:
		return simBetween(rng, 0, b.staleness/2)
	case 1:
		return b.suspect + simBetween(rng, 0, margin(b.suspect)+half)
	case 2:
		return b.staleness + simBetween(rng, -half, half)
	case 3:
		return simBetween(rng, 0, 2*b.staleness)
	default:
		return b.staleness + margin(b.staleness) + simBetween(rng, -half, b.staleness/2+time.Second)
	}
}

// fault draws one fault, and what users do meanwhile.
func (p *simPlan) fault(rng *rand.Rand) {
	slot := rng.IntN(len(p.replicas))
	at, lasts := simBetween(rng, 0, p.horizon), p.duration(rng, slot)
	draw := simPick(rng,
		p.pauseReplica, p.pauseReplica, p.pauseReplica, p.partition, p.partition, p.partition, p.halve, p.halve, p.stallStreams, p.stallStreams,
		p.crash, p.crash, p.leave, p.pauseManager, p.pauseManager, p.halveManager, p.replaceManager, p.secondManager, p.outage, p.shutdown, p.deadStreams, p.touchOrganization, p.touchNamespaces, p.blind, p.blind)
	draw(rng, slot, at, lasts)
	for range rng.IntN(4) {
		p.step(simBetween(rng, at-200*time.Millisecond, at+lasts), "", (*simWorld).endSome)
	}
	for range rng.IntN(3) {
		p.step(simBetween(rng, at-200*time.Millisecond, at+lasts), "", simPick(rng, (*simWorld).rotateSome, (*simWorld).rotateSome, (*simWorld).undoSome))
	}
	for range rng.IntN(3) {
		p.step(simBetween(rng, at-200*time.Millisecond, at+lasts), "", (*simWorld).mint)
	}
	if rng.IntN(3) == 0 {
		// Two faults at once.
		other := simPick(rng, p.pauseReplica, p.partition, p.stallStreams, p.pauseManager)
		other(rng, slot, at+simBetween(rng, 0, lasts), p.duration(rng, slot))
	}
}

// on has something done to the replica that is in slot then.
func (p *simPlan) on(slot int, at time.Duration, what string, do func(*simReplica)) {
	p.step(at, what, func(w *simWorld) {
		if r := w.slots[slot]; r != nil {
			w.log.add(r.process.name, "%s", what)
			do(r)
		}
	})
}

func (p *simPlan) pauseReplica(_ *rand.Rand, slot int, at, lasts time.Duration) {
	p.on(slot, at, "is paused", func(r *simReplica) { r.process.paused.set(true) })
	p.on(slot, at+lasts, "goes on", func(r *simReplica) { r.process.paused.set(false) })
}

func (p *simPlan) partition(_ *rand.Rand, slot int, at, lasts time.Duration) {
	p.on(slot, at, "is cut off", func(r *simReplica) { r.link.whole.set(true) })
	p.on(slot, at+lasts, "is connected again", func(r *simReplica) { r.link.whole.set(false) })
}

// halve cuts one direction of a replica's connection.
func (p *simPlan) halve(rng *rand.Rand, slot int, at, lasts time.Duration) {
	direction := simDirection(rng)
	p.on(slot, at, "has half a connection", func(r *simReplica) { direction(r.link).set(true) })
	p.on(slot, at+lasts, "has all of its connection", func(r *simReplica) { direction(r.link).set(false) })
}

func (p *simPlan) halveManager(rng *rand.Rand, _ int, at, lasts time.Duration) {
	direction := simDirection(rng)
	p.onManager(at, "has half a connection", func(m *simManager) { direction(m.link).set(true) })
	p.onManager(at+lasts, "has all of its connection", func(m *simManager) { direction(m.link).set(false) })
}

func simDirection(rng *rand.Rand) func(*simLink) *simGate {
	return simPick(rng, func(l *simLink) *simGate { return l.requests }, func(l *simLink) *simGate { return l.answers })
}

func (p *simPlan) stallStreams(_ *rand.Rand, slot int, at, lasts time.Duration) {
	p.on(slot, at, "sees no more events", func(r *simReplica) { r.link.streams.set(true) })
	p.on(slot, at+lasts, "sees events again", func(r *simReplica) { r.link.streams.set(false) })
}

func (p *simPlan) deadStreams(_ *rand.Rand, slot int, at, _ time.Duration) {
	p.dies = true
	p.on(slot, at, "sees no more events until it asks anew", func(r *simReplica) { r.link.forever.Swap(newSimGate()).set(true) })
}

// crash kills a replica; another one takes its Lease over, or comes with its own.
func (p *simPlan) crash(rng *rand.Rand, slot int, at, lasts time.Duration) {
	lease := p.newLease(slot)
	takesOver := rng.IntN(2) == 0
	p.step(at, "crash", func(w *simWorld) {
		if r := w.vacate(slot); r != nil {
			r.crash()
			if takesOver {
				lease = r.lease
			}
		}
	})
	if rng.IntN(2) == 0 {
		lasts = simBetween(rng, 0, time.Second)
	}
	p.restart(slot, at+lasts, &lease)
}

// newLease returns the name of a Lease that no other replica ever had.
func (p *simPlan) newLease(slot int) string {
	p.leases++
	return fmt.Sprintf("lease%d-%d", slot, p.leases)
}

// restart starts a replica if there is none.
func (p *simPlan) restart(slot int, at time.Duration, lease *string) {
	p.step(at, "", func(w *simWorld) {
		if w.slots[slot] == nil {
			w.startReplica(slot, *lease)
		}
	})
}

func (p *simPlan) leave(_ *rand.Rand, slot int, at, lasts time.Duration) {
	p.step(at, "leave", func(w *simWorld) {
		if r := w.vacate(slot); r != nil {
			r.leave()
		}
	})
	lease := p.newLease(slot)
	p.restart(slot, at+lasts, &lease)
}

// onManager has something done to the manager that was started last.
func (p *simPlan) onManager(at time.Duration, what string, do func(*simManager)) {
	p.step(at, what, func(w *simWorld) {
		if n := len(w.managers); n > 0 {
			w.log.add(w.managers[n-1].process.name, "%s", what)
			do(w.managers[n-1])
		}
	})
}

func (p *simPlan) pauseManager(_ *rand.Rand, _ int, at, lasts time.Duration) {
	p.onManager(at, "is paused", func(m *simManager) { m.process.paused.set(true) })
	p.onManager(at+lasts, "goes on", func(m *simManager) { m.process.paused.set(false) })
}

func (p *simPlan) replaceManager(rng *rand.Rand, _ int, at, lasts time.Duration) {
	p.step(at, "manager crash", func(w *simWorld) {
		for _, m := range w.managers {
			w.crashManager(m)
		}
		w.managers = nil
	})
	if rng.IntN(2) == 0 {
		lasts = simBetween(rng, 0, time.Second)
	}
	p.step(at+lasts, "", (*simWorld).startManager)
}

// secondManager starts a manager beside one that does not know that it leads no more.
func (p *simPlan) secondManager(_ *rand.Rand, _ int, at, _ time.Duration) {
	p.step(at, "second manager", (*simWorld).startManager)
}

func (p *simPlan) outage(_ *rand.Rand, _ int, at, lasts time.Duration) {
	set := func(shut bool) func(*simWorld) {
		return func(w *simWorld) {
			w.log.add("network", "the API server cannot be reached: %t", shut)
			w.everyLink(func(l *simLink) { l.whole.set(shut) })
		}
	}
	p.step(at, "outage", set(true))
	p.step(at+lasts, "", set(false))
}

func (p *simPlan) shutdown(_ *rand.Rand, _ int, at, lasts time.Duration) {
	set := func(down bool) func(*simWorld) {
		return func(w *simWorld) {
			w.log.add("API server", "is down: %t", down)
			w.api.setDown(down)
		}
	}
	p.step(at, "shutdown", set(true))
	p.step(at+lasts, "", set(false))
}

// blind has a replica renew its Lease while it can follow nothing.
func (p *simPlan) blind(_ *rand.Rand, slot int, at, lasts time.Duration) {
	p.on(slot, at, "can list and watch nothing but Leases", func(r *simReplica) { r.link.blind.set(true) })
	p.on(slot, at+lasts, "can list and watch everything", func(r *simReplica) { r.link.blind.set(false) })
}

// touchNamespaces changes Namespaces, which a new key waits for, too.
func (p *simPlan) touchNamespaces(rng *rand.Rand, _ int, at, lasts time.Duration) {
	for range 1 + rng.IntN(5) {
		p.step(at+simBetween(rng, 0, lasts), "namespace change", (*simWorld).relabelSome)
	}
	p.step(at+simBetween(rng, 0, lasts), "", (*simWorld).withdrawSome)
}

// touchOrganization changes the Organization, which a new key waits for, too.
func (p *simPlan) touchOrganization(rng *rand.Rand, _ int, at, lasts time.Duration) {
	for range 1 + rng.IntN(3) {
		p.step(at+simBetween(rng, 0, lasts), "organization change", func(w *simWorld) {
			org := &v1alpha1.Organization{}
			org.Name = "acme"
			w.api.modify(org, func() { org.Spec.Scopes = simScopes(len(org.Spec.Scopes)) })
		})
	}
}

func simScopes(before int) []v1alpha1.Scope {
	if before == 1 {
		return []v1alpha1.Scope{v1alpha1.ScopeQuery, v1alpha1.ScopeIngest}
	}
	return []v1alpha1.Scope{v1alpha1.ScopeQuery}
}
