// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
)

// events reads the events of a text, but for those about the chain itself.
func events(t testing.TB, text string) (found []Event) {
	t.Helper()
	for _, line := range lines(text) {
		if line == "" {
			continue
		}
		var event Event
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		if event.Action == Refused {
			found = append(found, event)
		}
	}
	return found
}

// tellRefusals runs a Refusals in a bubble of virtual time.
func tellRefusals(t *testing.T, story func(r *Refusals, told func() []Event)) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var out bytes.Buffer
		recorder := NewRecorder(writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return out.Write(p)
		}), clock.RealClock{})
		r := NewRefusals(recorder, AuthServer("a"), clock.RealClock{}, logr.Discard())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		seen := 0
		told := func() []Event {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			all := events(t, out.String())
			fresh := all[seen:]
			seen = len(all)
			return fresh
		}
		story(r, told)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		closed(t, recorder)
		if defects, _ := verified(t, out.String()); len(defects) > 0 {
			t.Error(defects)
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestTheFirstRefusalIsToldAtOnceAndTheOthersByTheMinute(t *testing.T) {
	tellRefusals(t, func(r *Refusals, told func() []Event) {
		kind := Kind{Endpoint: "original", Reason: "scope_missing", Organization: "acme", KeyID: "0123456789ab"}
		r.Note(kind)
		first := told()
		if len(first) != 1 || first[0].Count != 1 || first[0].Reason != "scope_missing" || first[0].Endpoint != "original" ||
			first[0].KeyID != "0123456789ab" || first[0].Organization != "acme" || first[0].Actor != AuthServer("a") {
			t.Fatalf("%+v", first)
		}
		begin := time.Now()
		for range 1000 {
			r.Note(kind)
		}
		if more := told(); len(more) != 0 {
			t.Errorf("told within the minute: %+v", more)
		}
		<-clock.RealClock{}.After(refusalInterval)
		if more := told(); len(more) != 1 || more[0].Count != 1000 || more[0].Since.After(begin) {
			t.Errorf("after a minute: %+v", more)
		}
		<-clock.RealClock{}.After(refusalInterval)
		if more := told(); len(more) != 0 || len(r.kinds) != 0 {
			t.Errorf("after a quiet minute: %+v, %d kinds", more, len(r.kinds))
		}
		r.Note(kind)
		if more := told(); len(more) != 1 || more[0].Count != 1 {
			t.Errorf("the first of a new series: %+v", more)
		}
	})
}

// A request is behind Note: it waits for no writer, whatever there is to record.
func TestARefusalWaitsForNoWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := newGate()
		recorder := recorder(blocked)
		r := NewRefusals(recorder, AuthServer("a"), clock.RealClock{}, logr.Discard())
		if waited := took(func() {
			for i := range 2 * maxRefusalKinds {
				r.Note(Kind{Endpoint: "original", Reason: "scope_missing", KeyID: fmt.Sprint(i)})
			}
			r.flush(false)
			r.flush(true)
			r.Note(Kind{Reason: "after the end"})
		}); waited > 0 {
			t.Errorf("waited for %v", waited)
		}
		close(blocked.opened)
		closed(t, recorder)
		var count int64
		for _, event := range events(t, blocked.String()) {
			count += event.Count
		}
		if count != 2*maxRefusalKinds+1 {
			t.Errorf("%d refusals", count)
		}
	})
}

func TestALineTellsOfTheLatestRefusal(t *testing.T) {
	tellRefusals(t, func(r *Refusals, told func() []Event) {
		kind := Kind{Reason: "ImportRefused", Object: Object{Namespace: "team"}}
		r.NoteLatest(kind, "the first")
		if first := told(); len(first) != 1 || first[0].Count != 1 || first[0].Message != "the first" {
			t.Fatalf("%+v", first)
		}
		for i := range 1000 {
			r.NoteLatest(kind, fmt.Sprint("refusal ", i))
		}
		<-clock.RealClock{}.After(refusalInterval)
		if more := told(); len(more) != 1 || more[0].Count != 1000 || more[0].Message != "refusal 999" {
			t.Errorf("after a minute: %+v", more)
		}
		for i := range 2 * maxRefusalKinds {
			r.NoteLatest(Kind{Reason: "ImportRefused", Object: Object{Namespace: fmt.Sprint(i)}}, "one of many")
		}
		others := 0
		for _, event := range told() {
			if event.Namespace == "" && event.Message != tooMany {
				t.Errorf("about any others: %+v", event)
			}
			others++
		}
		if others > maxRefusalKinds+1 {
			t.Errorf("%d lines", others)
		}
	})
}

func TestAFloodOfKindsIsBounded(t *testing.T) {
	tellRefusals(t, func(r *Refusals, told func() []Event) {
		const keys, rounds = 10_000, 3
		for range rounds {
			for i := range keys {
				r.Note(Kind{Endpoint: "original", Reason: "scope_missing", KeyID: fmt.Sprint(i)})
				r.Note(Kind{Endpoint: "original", Reason: "unknown_key"})
			}
		}
		var count int64
		all := told()
		<-clock.RealClock{}.After(refusalInterval)
		all = append(all, told()...)
		others := 0
		for _, event := range all {
			count += event.Count
			if event.Message == tooMany {
				others++
			}
		}
		if count != 2*keys*rounds || others == 0 || len(all) > 2*(maxRefusalKinds+2) {
			t.Errorf("%d refusals in %d lines, %d of them about others", count, len(all), others)
		}
	})
}

// Nothing is counted twice, and nothing is lost, however kinds come and go.
func TestEveryRefusalIsCountedOnce(t *testing.T) {
	var mu sync.Mutex
	var out bytes.Buffer
	recorder := NewRecorder(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return out.Write(p)
	}), clock.RealClock{})
	r := NewRefusals(recorder, AuthServer("a"), clock.RealClock{}, logr.Discard())
	const writers, each = 4, 20_000
	var noting, sweeping sync.WaitGroup
	stop := make(chan struct{})
	sweeping.Go(func() { // in the place of Run, and far more often
		for {
			select {
			case <-stop:
				r.flush(true)
				return
			default:
				r.flush(false)
			}
		}
	})
	for w := range writers {
		noting.Go(func() {
			for i := range each {
				r.Note(Kind{Reason: "scope_missing", KeyID: fmt.Sprint((w + i) % 300)})
			}
		})
	}
	noting.Wait()
	close(stop)
	sweeping.Wait()
	r.Note(Kind{Reason: "after the end"})
	closed(t, recorder)
	var count int64
	for _, event := range events(t, out.String()) {
		count += event.Count
	}
	if count != writers*each+1 {
		t.Errorf("%d of %d", count, writers*each+1)
	}
}

func TestWhatIsRefusedAfterTheEndIsRecordedAtOnce(t *testing.T) {
	var out bytes.Buffer
	recorder := recorder(&out)
	r := NewRefusals(recorder, Manager(CausePermission), clock.RealClock{}, logr.Discard())
	ctx, cancel := context.WithCancel(t.Context())
	r.Note(Kind{Reason: "a"})
	r.Note(Kind{Reason: "a"})
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	r.Note(Kind{Reason: "b"})
	r.Note(Kind{Reason: "b"})
	closed(t, recorder)
	if told := events(t, out.String()); len(told) != 4 || told[1].Reason != "a" || told[3].Reason != "b" {
		t.Errorf("%+v", told)
	}
}

func TestARefusalOfAKnownKindAllocatesNothing(t *testing.T) {
	r := NewRefusals(NewRecorder(&bytes.Buffer{}, clock.RealClock{}), AuthServer("a"), clock.RealClock{}, logr.Discard())
	kind := Kind{Endpoint: "original", Reason: "scope_missing", Organization: "acme", KeyID: "0123456789ab"}
	if n := testing.AllocsPerRun(1000, func() { r.Note(kind) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNote(b *testing.B) {
	r := NewRefusals(NewRecorder(&bytes.Buffer{}, clock.RealClock{}), AuthServer("a"), clock.RealClock{}, logr.Discard())
	for _, kind := range []Kind{
		{Endpoint: "original", Reason: "unknown_key"},
		{Endpoint: "original", Reason: "scope_missing", Organization: "acme", KeyID: "0123456789ab", Object: Object{Namespace: "team", Name: "agent"}},
	} {
		b.Run(kind.Reason, func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r.Note(kind)
				}
			})
		})
	}
}
