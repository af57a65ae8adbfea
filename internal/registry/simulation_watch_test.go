// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import "testing"

// TestAWatchThatLosesDoublesAndReorders has watches break their contract, on which
// the guarantee rests, and checks that nothing stays wrong: when watches keep it
// again, every replica comes to accept the valid keys with their scopes, and no
// other.
func TestAWatchThatLosesDoublesAndReorders(t *testing.T) {
	quiet(t)
	stats := simStats{faults: map[string]int{}}
	for seed := range uint64(simulationDefault / 5) {
		plan := newSimPlan(seed)
		plan.unfaithful = true
		w := simulate(t, plan)
		if w.violation != "" {
			t.Fatalf("seed %d: %s\n%s", seed, w.violation, w.log)
		}
		stats.add(w.stats)
	}
	if stats.repaired == 0 {
		t.Error("no index had to be repaired, so this shows nothing")
	}
	t.Log(stats)
}
