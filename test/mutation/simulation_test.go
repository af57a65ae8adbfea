// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package mutation_test

import (
	"fmt"
	"os/exec"
	"path"
	"regexp"
	"testing"

	"github.com/hexcovery/apikey-operator/test/mutation"
)

// violation is what the simulation says when it has found one.
var violation = regexp.MustCompile(`seed \d+: \S+ (accepts|calls|has verdict|gives) .*`)

// TestEachStepIsMissedByTheSimulation takes each step out and sees the simulation
// fail.
func TestEachStepIsMissedByTheSimulation(t *testing.T) {
	for _, m := range mutation.All() {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel() // One processor each.
			overlay, err := mutation.Overlay(root, t.TempDir(), m)
			if err != nil {
				t.Fatal(err)
			}
			// Each was seen to be missed within 1,300 schedules from the first.
			simulation := exec.CommandContext(t.Context(), "go", "test", "-overlay", overlay, "-count=1", "-vet=off",
				"-run", m.Test+"$", "./"+path.Dir(m.File), "-simulation.schedules=3000", fmt.Sprintf("-simulation.from=%d", max(m.Seed, 1)))
			simulation.Dir = root
			output, err := simulation.CombinedOutput()
			found := violation.Find(output)
			if err == nil || found == nil {
				t.Fatalf("nobody misses it: %s\n%s", m.Why, output)
			}
			t.Logf("without %s, %s", m.Name, found)
		})
	}
}
