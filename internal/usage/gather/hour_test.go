// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

// direct asks a Table without a network in between.
type direct struct {
	table *usage.Table
	final *bool
}

func (d direct) ask(_ context.Context, _ string, q *usage.Question) (*usage.Answer, error) {
	answer := d.table.Answer(q)
	answer.Process, answer.Final = q.Process, *d.final
	return &answer, nil
}

func (direct) close() {}

// fleet are auth servers that are replaced in peace.
type fleet struct {
	*world

	tables   []*usage.Table
	counters [][]*usage.Counter
	finals   []*bool
	started  int
}

// replace has another auth server come in place of one, which hands over.
func (f *fleet) replace(t *testing.T, i int) {
	t.Helper()
	if f.finals[i] != nil {
		*f.finals[i] = true
		f.members.usageSources[i].Final = true
		if err := f.releaseAll(t); err != nil {
			t.Fatal(err)
		}
	}
	f.started++
	process := fmt.Sprint("p", f.started)
	f.tables[i], f.finals[i] = usage.NewTable(f.clock), new(bool)
	f.counters[i] = nil
	for k := range len(f.keys.keys) {
		f.counters[i] = append(f.counters[i], f.tables[i].Hold(types.UID(fmt.Sprint("key-", k)), "k", false))
	}
	f.members.usageSources[i] = registry.UsageSource{Name: fmt.Sprint("replica-", i), Process: process, Address: fmt.Sprint(i)}
}

// A thousand keys at a thousand requests a second, three auth servers that are replaced
// one after the other: the statuses that are written, and what is in them.
func TestAnHourOfAThousandKeys(t *testing.T) {
	const keys, replicas, hours = 1000, 3, 2
	all := make([]*v1alpha1.APIKey, keys)
	for i := range all {
		all[i] = keyOf(fmt.Sprint("key-", i), v1alpha1.VersionActive)
	}
	f := &fleet{
		world:  newWorld(all...),
		tables: make([]*usage.Table, replicas), counters: make([][]*usage.Counter, replicas), finals: make([]*bool, replicas),
	}
	f.members.usageSources = make([]registry.UsageSource, replicas)
	f.dial = func(address, _ string) (asker, error) {
		i := int(address[0] - '0')
		return direct{table: f.tables[i], final: f.finals[i]}, nil
	}
	for i := range replicas {
		f.replace(t, i)
	}

	var sent, seconds int64
	var writes []int64 // in seconds since the start
	used := map[string]time.Time{}
	rounds := func(d time.Duration, rate int) {
		due := time.Duration(0)
		for passed := time.Duration(0); passed < d; passed += time.Second {
			f.clock.Step(time.Second)
			seconds++
			for n := range rate {
				key := (int(seconds)*7 + n) % keys
				f.counters[n%replicas][key].Count(f.clock.Now())
				used[all[key].Name] = f.clock.Now()
				sent++
			}
			if passed >= due {
				due = passed + wait.Jitter(f.Interval, jitter)
				if err := f.round(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range f.woken { // what a pass does, without an API server
				key := f.keys.keys[types.UID(name)]
				f.Ledger.Observe(key)
				if f.Ledger.Due(key, f.clock.Now()) {
					f.Ledger.Fill(key)
					f.Ledger.Observe(key)
					writes = append(writes, seconds)
				}
			}
			f.woken = nil
		}
	}
	half := 30 * time.Minute
	if testing.Short() { // for the race detector
		half = time.Minute
	}
	for hour := range hours {
		rounds(half, 1000)
		f.replace(t, hour%replicas)
		rounds(half, 1000)
	}
	most := 0
	for i, at := range writes {
		end, _ := slices.BinarySearch(writes, at+3600)
		most = max(most, end-i)
	}
	t.Logf("%d keys, 1000 requests a second for %d h: %d status writes, at most %d in any hour", keys, hours, len(writes), most)
	if most > 1000 {
		t.Errorf("%d writes in an hour", most)
	}

	// When the use ends, the statuses catch up, with no more than one write each.
	before := len(writes)
	rounds(75*time.Minute, 0)
	var counted int64
	late := 0
	for _, key := range all {
		counted += requestsOf(f.Ledger, key.Name)
		// What is told of a use is exact to a second, and rounded down.
		if wrong := key.Status.LastUsedTime.Sub(used[key.Name]); wrong < -time.Second || wrong > time.Second {
			late++
		}
	}
	t.Logf("%d requests sent, %d gathered, over %d replacements of auth servers; %d writes after the last request", sent, counted, hours, len(writes)-before)
	if counted != sent || late > 0 || len(writes)-before > keys {
		t.Errorf("%d requests sent, %d gathered, %d last uses that are not in the status, %d writes after the last request", sent, counted, late, len(writes)-before)
	}
	if gaps := values(t, f.metrics.gaps)[0]; gaps != "apikey_usage_gaps_total{} 0" {
		t.Error(gaps)
	}
	before = len(writes)
	rounds(time.Hour, 0)
	if len(writes) != before {
		t.Errorf("%d writes although nobody uses a key", len(writes)-before)
	}
}
