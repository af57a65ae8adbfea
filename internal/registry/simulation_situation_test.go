// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"math/rand/v2"
	"time"
)

// simSituation is what one protective step was made for. Faults that are drawn
// without an aim come across it seldom, for several things have to happen at the
// right moments; here they are likely to. Some of what else happens is drawn all the
// same.
type simSituation struct {
	// bound draws the bounds of the replicas.
	bound func(*simPlan, *rand.Rand)
	// stage draws what happens.
	stage func(*simPlan, *rand.Rand)
}

// simSituations returns all of them; the first is none in particular.
func simSituations() []simSituation {
	return []simSituation{
		{bound: (*simPlan).boundAnyhow, stage: func(*simPlan, *rand.Rand) {}},
		{bound: (*simPlan).boundAnyhow, stage: (*simPlan).stageJoin},
		{bound: (*simPlan).boundForLateRenewal, stage: (*simPlan).stageLateRenewal},
		{bound: (*simPlan).boundForOldAnswer, stage: (*simPlan).stageOldAnswer},
		{bound: (*simPlan).boundForDrift, stage: (*simPlan).stageDrift},
		{bound: (*simPlan).boundForCollection, stage: (*simPlan).stageCollection},
	}
}

// anySlot returns the slot of one replica.
func (p *simPlan) anySlot(rng *rand.Rand) int { return rng.IntN(len(p.replicas)) }

// sometime returns a time after which most of the schedule is left.
func (p *simPlan) sometime(rng *rand.Rand) time.Duration {
	return simBetween(rng, 3*time.Second, 3*time.Second+p.horizon/4)
}

// stageJoin has a replica join while a key is being revoked. What it sends is held
// up after some of its requests, and its watch is slow: what a list did not show it
// learns late.
func (p *simPlan) stageJoin(rng *rand.Rand) {
	slot, at := p.anySlot(rng), p.sometime(rng)
	lease := p.newLease(slot)
	p.step(at-500*time.Millisecond, "leave", func(w *simWorld) {
		if r := w.vacate(slot); r != nil {
			r.leave()
		}
	})
	p.restart(slot, at, &lease)
	held := at + simBetween(rng, 0, 60*time.Millisecond)
	goesOn := held + simBetween(rng, 200*time.Millisecond, 2*time.Second)
	p.on(slot, held, "sends no more requests", func(r *simReplica) { r.link.requests.set(true) })
	p.on(slot, goesOn, "sends requests again", func(r *simReplica) { r.link.requests.set(false) })
	listed := simPick(rng, held, goesOn+simBetween(rng, 0, 200*time.Millisecond))
	p.on(slot, listed, "sees no more events", func(r *simReplica) { r.link.streams.set(true) })
	p.on(slot, goesOn+simBetween(rng, 500*time.Millisecond, 3*time.Second), "sees events again", func(r *simReplica) { r.link.streams.set(false) })
	p.step(listed+simBetween(rng, 0, 100*time.Millisecond), "", (*simWorld).endSome)
}

func (p *simPlan) boundForLateRenewal(rng *rand.Rand) {
	for range 1 + rng.IntN(2) {
		// Renewals are given up on after a quarter of the bound.
		p.bound(rng, simBetween(rng, 10*time.Second, 20*time.Second), 0.6+0.2*rng.Float64(), 0.1)
	}
}

// stageLateRenewal has a renewal, sent before the deadline, arrive after the manager
// has counted its replica out, whose watch goes on later still.
func (p *simPlan) stageLateRenewal(rng *rand.Rand) {
	slot, at := p.anySlot(rng), p.sometime(rng)
	b := p.replicas[slot]
	// The manager has seen the last renewal after at most a second.
	arrives := at + b.staleness + margin(b.staleness) + time.Second + simBetween(rng, 0, 1500*time.Millisecond)
	p.on(slot, at-time.Second, "sees no more events", func(r *simReplica) { r.link.streams.set(true) })
	p.step(at-time.Second+simBetween(rng, 0, time.Second), "", (*simWorld).endSome)
	p.on(slot, at, "sends no more requests", func(r *simReplica) { r.link.requests.set(true) })
	// It is paused, and does not look at timeouts: from the renewal on, or until it wakes
	// up in time for one.
	woken := at + b.staleness - b.renew - simBetween(rng, 0, 500*time.Millisecond)
	pause, goesOn := at, woken
	if rng.IntN(3) == 0 {
		pause, goesOn = woken, arrives+simBetween(rng, 0, time.Second)
	}
	p.on(slot, pause, "is paused", func(r *simReplica) { r.process.paused.set(true) })
	p.on(slot, goesOn, "goes on", func(r *simReplica) { r.process.paused.set(false) })
	p.on(slot, arrives, "sends requests again", func(r *simReplica) { r.link.requests.set(false) })
	p.on(slot, arrives+b.staleness/2, "sees events again", func(r *simReplica) { r.link.streams.set(false) })
}

func (p *simPlan) boundForOldAnswer(rng *rand.Rand) {
	for range 1 + rng.IntN(2) {
		// Two snapshots, a second apart, find the same renewal.
		p.bound(rng, simBetween(rng, 3*time.Second, 5*time.Second), 0.75, 0.9)
	}
}

// stageOldAnswer has the answer to a manager's list be held up for as long as would
// make a silence of it, while the replica renews its Lease and waits for its watch. Mostly
// the manager's watch, which would show it the renewals, is held up, too.
func (p *simPlan) stageOldAnswer(rng *rand.Rand) {
	slot, at := p.anySlot(rng), p.sometime(rng)
	b := p.replicas[slot]
	arrives := at + b.staleness + margin(b.staleness) + simBetween(rng, 0, 2*time.Second)
	deleted := at - simBetween(rng, 1500*time.Millisecond, 4*time.Second)
	p.on(slot, deleted-100*time.Millisecond, "sees no more events", func(r *simReplica) { r.link.streams.set(true) })
	p.step(deleted, "", (*simWorld).deleteSome)
	p.onManager(at, "hears no more answers", func(m *simManager) { m.link.answers.set(true) })
	p.onManager(arrives, "hears answers again", func(m *simManager) { m.link.answers.set(false) })
	if rng.IntN(4) > 0 {
		p.onManager(at, "sees no more events", func(m *simManager) { m.link.streams.set(true) })
		p.onManager(arrives+time.Second, "sees events again", func(m *simManager) { m.link.streams.set(false) })
	}
	p.on(slot, arrives+2*time.Second, "sees events again", func(r *simReplica) { r.link.streams.set(false) })
}

func (p *simPlan) boundForDrift(rng *rand.Rand) {
	p.asks, p.apart = time.Second, true
	p.bound(rng, simBetween(rng, 200*time.Second, 400*time.Second).Round(time.Second), 0.01+0.02*rng.Float64(), 0.5)
}

// stageDrift has a replica be cut off while a manager waits for it that looks often:
// what is left between the two deadlines is what the clocks differ by.
func (p *simPlan) stageDrift(rng *rand.Rand) {
	at := 5*time.Second + simBetween(rng, 0, 10*time.Second)
	p.on(0, at-3*time.Second, "sees no more events", func(r *simReplica) { r.link.streams.set(true) })
	p.step(at-2*time.Second, "", (*simWorld).endSome)
	p.step(at-2*time.Second+simBetween(rng, 300*time.Millisecond, 700*time.Millisecond), "", (*simWorld).endSome)
	p.partition(rng, 0, at, p.horizon)
}

func (p *simPlan) boundForCollection(rng *rand.Rand) {
	for range 1 + rng.IntN(3) {
		p.bound(rng, MinStaleness, 0.3+0.3*rng.Float64(), 0.5)
	}
	p.lasts = collectAfter*(MinStaleness+margin(MinStaleness)) + 20*time.Second
}

// stageCollection has a replica be away for so long that its Lease is collected, about
// when it comes back, while keys are revoked.
func (p *simPlan) stageCollection(rng *rand.Rand) {
	slot, at := p.anySlot(rng), 3*time.Second
	b := p.replicas[slot]
	back := at + collectAfter*(b.staleness+margin(b.staleness)) + simBetween(rng, 0, collectInterval+2*time.Second)
	away := simPick(rng, p.partition, p.pauseReplica)
	away(rng, slot, at, back-at)
	for range 1 + rng.IntN(3) {
		p.step(simBetween(rng, at, back+time.Second), "", (*simWorld).endSome)
	}
}
