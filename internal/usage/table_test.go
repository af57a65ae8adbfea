// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newTable() (*Table, *testingclock.FakePassiveClock) {
	clock := testingclock.NewFakePassiveClock(epoch)
	return NewTable(clock), clock
}

// everything asks for all pages that follow since.
func everything(t *Table, since uint64) (counts []Count, scan uint64) {
	question := Question{Since: since}
	for {
		answer := t.Answer(&question)
		if scan == 0 {
			scan = answer.Scan
		}
		counts = append(counts, answer.Versions...)
		if !answer.More {
			return counts, scan
		}
		question.After = &answer.Versions[len(answer.Versions)-1].ID
	}
}

func TestAnswersHaveTotalsUntilTheyAreTakenIn(t *testing.T) {
	table, _ := newTable()
	a, b := table.Hold("a", "k", false), table.Hold("b", "k", false)
	a.Count(epoch)
	a.Count(epoch.Add(time.Second))
	counts, scan := everything(table, 0)
	if len(counts) != 1 || counts[0].Requests != 2 || counts[0].LastUsed != epoch.Unix()+1 {
		t.Fatalf("%+v", counts)
	}
	// The answer was lost.
	if again, _ := everything(table, 0); len(again) != 1 || again[0].Requests != 2 {
		t.Errorf("told once only: %+v", again)
	}
	if news, _ := everything(table, scan); len(news) != 0 {
		t.Errorf("nothing is new: %+v", news)
	}
	b.Count(epoch)
	news, _ := everything(table, scan)
	if len(news) != 1 || news[0].UID != "b" {
		t.Errorf("%+v", news)
	}
	a.Count(epoch) // an older second, as after a clock was set back
	if news, _ := everything(table, scan); len(news) != 2 || news[0].Requests != 3 || news[0].LastUsed != epoch.Unix()+1 {
		t.Errorf("%+v", news)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	table, _ := newTable()
	const versions = 2*MaxVersions + 17
	for i := range versions {
		table.Hold(types.UID(fmt.Sprint(i)), "k", false).Count(epoch)
	}
	if answer := table.Answer(&Question{}); len(answer.Versions) != MaxVersions || !answer.More {
		t.Errorf("%d versions, more: %t", len(answer.Versions), answer.More)
	}
	counts, _ := everything(table, 0)
	seen := map[ID]bool{}
	for _, count := range counts {
		seen[count.ID] = true
	}
	if len(counts) != versions || len(seen) != versions {
		t.Errorf("%d counts of %d versions", len(counts), len(seen))
	}
}

func TestACounterStaysUntilItIsTaken(t *testing.T) {
	table, clock := newTable()
	c := table.Hold("a", "k", false)
	if table.Hold("a", "k", false) != c {
		t.Fatal("an APIKey that was stored again has another counter")
	}
	table.Release(c)
	c.Count(epoch)
	table.Release(c)
	clock.SetTime(epoch.Add(time.Hour))
	c.Count(epoch) // by a request that found it before
	counts, scan := everything(table, 0)
	if len(counts) != 1 || counts[0].Requests != 2 {
		t.Fatalf("%+v", counts)
	}
	if counts, _ := everything(table, scan-1); len(counts) != 1 {
		t.Fatal("dropped although the answer was lost")
	}
	c.Count(epoch)
	if counts, scan = everything(table, scan); len(counts) != 1 || counts[0].Requests != 3 {
		t.Fatalf("dropped with a request that nobody has taken: %+v", counts)
	}
	everything(table, scan)
	if table.Size() != 0 {
		t.Errorf("%d counters left", table.Size())
	}
	if next := table.Hold("a", "k", false); next == c {
		t.Error("a counter that was dropped is used again")
	}
}

func TestACounterThatLeftAMomentAgoStays(t *testing.T) {
	table, clock := newTable()
	c := table.Hold("a", "k", false)
	table.Release(c)
	table.Answer(&Question{})
	if table.Size() != 1 {
		t.Fatal("a request may have it in its hands")
	}
	table.Hold("a", "k", false)
	clock.SetTime(epoch.Add(time.Hour))
	table.Answer(&Question{})
	if table.Size() != 1 {
		t.Fatal("it is held again")
	}
	table.Release(c)
	clock.SetTime(epoch.Add(2 * time.Hour))
	table.Answer(&Question{})
	if table.Size() != 0 || len(table.departed) != 0 {
		t.Error("it stays for ever")
	}
}

func TestCountersThatNobodyTakesAreBounded(t *testing.T) {
	table, _ := newTable()
	for i := range 3 * maxDeparted {
		c := table.Hold(types.UID(fmt.Sprint(i)), "k", false)
		c.Count(epoch)
		table.Release(c)
	}
	if size := table.Size(); size > maxDeparted || size < maxDeparted/2 {
		t.Errorf("%d counters", size)
	}
	if lost := table.Lost(); lost != int64(3*maxDeparted-table.Size()) {
		t.Errorf("%d lost, and %d of %d left", lost, table.Size(), 3*maxDeparted)
	}
}

func TestOriginsAreToldWhileSomebodyWantsToKnow(t *testing.T) {
	table, _ := newTable()
	c := table.Hold("a", "k", false)
	if c.Watched() {
		t.Fatal("watched")
	}
	c.Count(epoch)
	table.Hold("a", "k", true)
	for i := range MaxOrigins + 4 {
		gateway := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		for range 2 {
			c.Count(epoch)
			c.CountFrom("original", gateway)
		}
	}
	c.CountFrom("proxy", netip.AddrFrom4([4]byte{10, 0, 0, 0}))
	counts, _ := everything(table, 0)
	sources := counts[0].Sources
	if len(sources) != MaxOrigins+1 || sources[0] != (Source{Endpoint: "original", Gateway: "10.0.0.0", Requests: 2}) ||
		sources[MaxOrigins] != (Source{Requests: 9}) {
		t.Errorf("%+v", sources)
	}
	table.Hold("a", "k", false)
	c.CountFrom("original", netip.AddrFrom4([4]byte{10, 0, 0, 1}))
	if c.Watched() {
		t.Error("still watched")
	}
}

func TestNobodyCounts(t *testing.T) {
	var table *Table
	c := table.Hold("a", "k", true)
	c.Count(epoch)
	c.CountFrom("original", netip.Addr{})
	table.Release(c)
	if c != nil || c.Watched() {
		t.Error("counted")
	}
}

func TestCountingCostsNoAllocation(t *testing.T) {
	table, _ := newTable()
	c := table.Hold("a", "k", true)
	gateway := netip.MustParseAddr("10.0.0.1")
	c.CountFrom("original", gateway)
	if n := testing.AllocsPerRun(100, func() {
		c.Count(epoch)
		if c.Watched() {
			c.CountFrom("original", gateway)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Requests, questions, and versions that come and go, all at once: a reader that takes in
// differences of totals ends up with every request.
func TestNothingIsLostBetweenRequestsAndQuestions(t *testing.T) {
	table, clock := newTable()
	const counters, senders, each = 50, 8, 5000
	held := make([]*Counter, counters)
	for i := range held {
		held[i] = table.Hold(types.UID(fmt.Sprint(i)), "k", i%2 == 0)
	}
	var sending sync.WaitGroup
	for s := range senders {
		sending.Go(func() {
			for i := range each {
				c := held[(i+s)%counters]
				c.Count(epoch)
				if c.Watched() {
					c.CountFrom("original", netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
				}
			}
		})
	}
	done := make(chan struct{})
	var churning sync.WaitGroup
	churning.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			c := table.Hold(types.UID(fmt.Sprint(i%counters)), "k", i%3 == 0)
			clock.SetTime(epoch.Add(time.Duration(i) * time.Minute))
			table.Release(c)
		}
	})
	seen, since := map[ID]int64{}, uint64(0)
	read := func() {
		answer := table.Answer(&Question{Since: since})
		for _, count := range answer.Versions {
			if count.Requests < seen[count.ID] {
				t.Errorf("%v went back from %d to %d", count.ID, seen[count.ID], count.Requests)
			}
			seen[count.ID] = count.Requests
		}
		if answer.Scan%3 != 0 { // otherwise the answer was lost
			since = answer.Scan
		}
	}
	ended := make(chan struct{})
	go func() { sending.Wait(); close(ended) }()
	for running := true; running; {
		select {
		case <-ended:
			running = false
		default:
		}
		read()
	}
	close(done)
	churning.Wait()
	read()
	var total int64
	for _, requests := range seen {
		total += requests
	}
	if total != senders*each {
		t.Errorf("%d of %d", total, senders*each)
	}
}

func BenchmarkCount(b *testing.B) {
	table, _ := newTable()
	for name, watched := range map[string]bool{"plain": false, "watched": true} {
		c := table.Hold(types.UID(name), "k", watched)
		gateway := netip.MustParseAddr("10.0.0.1")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c.Count(epoch)
					if c.Watched() {
						c.CountFrom("original", gateway)
					}
				}
			})
		})
	}
}

func BenchmarkAnswer(b *testing.B) {
	table, _ := newTable()
	for i := range 1000 {
		table.Hold(types.UID(fmt.Sprintf("5d7f0d3e-0000-4000-8000-%012d", i)), "0123456789ab", false).Count(epoch)
	}
	b.ReportAllocs()
	for b.Loop() {
		table.Answer(&Question{})
	}
}
