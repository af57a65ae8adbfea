// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// client-go draws jitter from the global source, which can be seeded only so.
//go:debug randseednop=0

package registry

import (
	"context"
	"flag"
	"fmt"
	"maps"
	mathrand "math/rand" //nolint:depguard // What client-go draws from is seeded with it.
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

var (
	simulationSeed      = flag.Uint64("simulation.seed", 0, "replay the schedule of this seed, and say what happens")
	simulationFrom      = flag.Uint64("simulation.from", 1, "the first seed to try")
	simulationSchedules = flag.Uint64("simulation.schedules", simulationDefault, "how many schedules to try")
)

// TestSimulation runs replicas and managers, as they are, against an API server in
// memory, in virtual time, through schedules of faults that are drawn from a seed
// each, and checks on each schedule that
//
//   - no request that began after a revocation was reported is accepted, be it that of
//     an APIKey that was deleted, or that of a key that was replaced, while its APIKey
//     lives on;
//   - no key that was given out, and is valid, is called unknown: not while another
//     takes its place, nor when that is undone;
//   - when all faults have ended, everything completes, and every replica accepts
//     the valid keys and no other.
func TestSimulation(t *testing.T) {
	quiet(t)
	from, to := *simulationFrom, *simulationFrom+*simulationSchedules
	if *simulationSeed != 0 {
		from, to = *simulationSeed, *simulationSeed+1
	}
	began := time.Now()
	stats := simStats{faults: map[string]int{}}
	for seed := from; seed < to; seed++ {
		w := simulate(t, newSimPlan(seed))
		stats.add(w.stats)
		if *simulationSeed != 0 {
			t.Logf("schedule of seed %d:\n%s", seed, w.log)
		}
		if w.violation != "" {
			if *simulationSeed == 0 {
				t.Logf("what happened:\n%s", w.log)
			}
			t.Fatalf("seed %d: %s\nreplay it: go test ./internal/registry -run 'TestSimulation$' -v -simulation.seed=%d", seed, w.violation, seed)
		}
	}
	t.Logf("%d schedules in %s: %s", to-from, time.Since(began).Round(time.Millisecond), stats)
}

func (s simStats) String() string {
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(s.faults)) {
		faults = append(faults, fmt.Sprintf("%s %d", name, s.faults[name]))
	}
	return fmt.Sprintf("%d requests (%d accepted, %d undecided, %d unknown); %d keys given out, %d times while a replica that was silent did not know it; "+
		"%d replaced, %d undone, %d retired, %d withdrawn; %d generations applied; %d revoked, %d times while a replica that was fenced still had it; %d sessions; %d indexes repaired; %s",
		s.requests, s.accepted, s.undecided, s.unknown, s.published, s.suspects, s.replaced, s.undone, s.retired, s.withdrawn, s.applied, s.revoked, s.fenced, s.joined, s.repaired, strings.Join(faults, ", "))
}

// quiet has client-go not write about the errors that are meant, nor wait after
// them, on a clock that begins anew with each schedule; and has one goroutine run at
// a time, for a schedule to repeat itself.
func quiet(t *testing.T) {
	handlers := utilruntime.ErrorHandlers
	utilruntime.ErrorHandlers = nil //nolint:reassign // It is there to be set.
	klog.SetLogger(logr.Discard())
	procs := runtime.GOMAXPROCS(1)
	t.Cleanup(func() {
		utilruntime.ErrorHandlers = handlers //nolint:reassign // It is there to be set.
		klog.ClearLogger()
		runtime.GOMAXPROCS(procs)
	})
}

// simulate runs a schedule.
func simulate(t *testing.T, plan *simPlan) (w *simWorld) {
	mathrand.Seed(int64(plan.seed)) //nolint:staticcheck // What is deprecated is what client-go draws from.
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		w = newSimWorld(ctx, plan)
		org := &v1alpha1.Organization{}
		org.Name, org.Spec.ID = "acme", "acme-id"
		org.Spec.Namespaces.Selector = &metav1.LabelSelector{MatchLabels: simPermitted}
		if _, err := w.api.create(org); err != nil {
			t.Fatal(err)
		}
		if w.play() {
			w.recover()
			w.settle()
		}
		w.mu.Lock()
		if w.violation == "" {
			close(w.over)
		}
		w.mu.Unlock()
		w.calm.Store(true)
		cancel()
		w.everyLink((*simLink).open)
		for _, m := range w.managers {
			m.stop()
		}
		w.ended.Wait()
		// What client-go does not wait for ends by itself.
		<-time.After(hung)
	})
	return w
}

// play has everything happen. It returns false if there was a violation.
func (w *simWorld) play() bool {
	began := time.Now()
	for _, step := range w.plan.steps {
		if !w.pass(time.Until(began.Add(step.at))) {
			return false
		}
		step.do(w)
		if step.what != "" {
			w.count(func(s *simStats) { s.faults[step.what]++ })
		}
	}
	return w.pass(time.Until(began.Add(w.plan.horizon)))
}

// pass lets d pass, unless there is a violation.
func (w *simWorld) pass(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-w.over:
		return false
	}
}

// recover ends all faults, and has at least a manager and a replica run.
func (w *simWorld) recover() {
	w.log.add("network", "all faults end")
	w.calm.Store(true)
	w.api.setDown(false)
	w.everyLink((*simLink).open)
	if len(w.managers) == 0 {
		w.startManager()
	}
	if len(w.live()) == 0 {
		w.startReplica(0, w.plan.newLease(0))
	}
}

// settle waits until everything has completed.
func (w *simWorld) settle() {
	// A replica that was silent is in doubt about unknown keys until the next bookmark.
	longest := w.plan.replicas[0].staleness + margin(w.plan.replicas[0].staleness) + 30*time.Second + simBookmarks
	if w.plan.unfaithful {
		// A comparison that is under way, and the next one.
		longest += 2 * (w.plan.replicas[0].compare*6/5 + lostAfter)
	}
	if w.plan.dies {
		longest += quietBound(w.plan.replicas[0].staleness) + simBookmarks
	}
	began := time.Now()
	missing := w.settled()
	for missing != "" {
		if time.Since(began) > longest {
			w.violate("%s after all faults have ended, and nothing was to take so long", missing)
			return
		}
		if !w.pass(100 * time.Millisecond) {
			return
		}
		missing = w.settled()
	}
	w.log.add("network", "all is well")
}
