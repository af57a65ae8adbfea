// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"math/rand/v2"
	"testing"
	"time"
)

// outagePlan is a schedule without faults but one: with the default bounds, nobody
// reaches the API server for so long, from which service resumes within a time.
func outagePlan(fault simFault, lasts time.Duration, during Verdict, resumes time.Duration) *simPlan {
	const began, every = 30 * time.Second, 50 * time.Millisecond
	p := &simPlan{seed: 1, asks: time.Second, horizon: began + lasts + time.Minute, streamedLists: true}
	var config ReplicaConfig
	config.Client, config.Namespace, config.LeaseName = &simLink{}, simNamespace, "any"
	if err := config.complete(); err != nil {
		panic(err)
	}
	for slot := range 3 {
		p.replicas = append(p.replicas, simBounds{
			staleness: config.MaxStaleness, suspect: config.SuspectAfter, renew: config.RenewInterval, compare: config.CompareInterval,
		})
		lease := p.newLease(slot)
		p.restart(slot, 0, &lease)
	}
	p.step(0, "", (*simWorld).startManager)
	p.step(time.Second, "", (*simWorld).mint)
	fault(p, nil, 0, began, lasts)
	end := began + lasts
	for at := began; at < end; at += every {
		if at > began+config.MaxStaleness || during == Accepted {
			p.step(at, "", func(w *simWorld) { w.demand(during) })
		}
	}
	for at := end + resumes; at < p.horizon; at += every {
		p.step(at, "", func(w *simWorld) { w.demand(Accepted) })
	}
	return p
}

// demand has every replica give this verdict about every key.
func (w *simWorld) demand(want Verdict) {
	replicas := w.live()
	if len(replicas) != 3 {
		w.violate("%d replicas run", len(replicas))
	}
	for _, r := range replicas {
		for _, key := range w.allKeys() {
			if _, got := r.replica.Authenticate(key.digest); got != want {
				w.violate("%s has verdict %d about %s, want %d", r.process.name, got, key.name, want)
			}
		}
	}
}

// simFault draws one fault of a plan.
type simFault func(p *simPlan, rng *rand.Rand, slot int, at, lasts time.Duration)

func TestOutage(t *testing.T) {
	quiet(t)
	for name, fault := range map[string]simFault{"the network is cut": (*simPlan).outage, "the API server is down": (*simPlan).shutdown} {
		for length, plan := range map[string]*simPlan{
			"for less than the bound: nothing changes":  outagePlan(fault, DefaultStaleness-DefaultSuspectAfter, Accepted, 0),
			"for longer: service resumes when it is up": outagePlan(fault, DefaultStaleness+10*time.Minute, Undecided, 3*time.Second),
		} {
			t.Run(name+" "+length, func(t *testing.T) {
				if w := simulate(t, plan); w.violation != "" {
					t.Fatalf("%s\n%s", w.violation, w.log)
				}
			})
		}
	}
}
