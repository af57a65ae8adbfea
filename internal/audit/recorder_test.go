// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 123456789, time.FixedZone("elsewhere", 3600))

// recorder returns a Recorder whose chain is always the same.
func recorder(w io.Writer, options ...Option) *Recorder {
	r := NewRecorder(w, testclock.NewFakePassiveClock(noon), append([]Option{WithProgram("manager")}, options...)...)
	r.process = "5f0c1b9e-0000-4000-8000-000000000001"
	r.previous = genesis(r.process)
	return r
}

// closed closes a Recorder: all that it recorded is written then.
func closed(t testing.TB, r *Recorder) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// lines splits what was written.
func lines(text string) []string { return strings.Split(strings.TrimSuffix(text, "\n"), "\n") }

// verified returns the defects of a text.
func verified(t testing.TB, text string, change ...func(*VerifierOptions)) (defects []Defect, summary Summary) {
	t.Helper()
	options := VerifierOptions{Report: func(d Defect) { defects = append(defects, d) }}
	for _, f := range change {
		f(&options)
	}
	v := NewVerifier(options)
	if err := v.Read("audit.log", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return defects, v.Finish()
}

func TestLinesHaveTheDocumentedSchema(t *testing.T) {
	var out bytes.Buffer
	r := recorder(&out)
	since := noon.Add(-time.Minute).UTC()
	for _, event := range []Event{
		{
			Action: Rotated, Object: Object{Namespace: "team", Name: "agent", UID: "u", Generation: 3}, Organization: "acme",
			KeyID: "0123456789ab", PreviousKeyID: "ba9876543210", Reason: "Trigger", Message: "two\nlines",
			Actor: Actor{Kind: ActorUser, Name: "erin", UID: "7"},
		},
		{Action: Retired, Object: Object{Namespace: "team", Name: "agent", UID: "u"}, KeyID: "ba9876543210", Requests: 12, Actor: Manager(CauseOverlap)},
		{
			Action: Refused, Organization: "acme", KeyID: "0123456789ab", Reason: "scope_missing", Endpoint: "original", Count: 7, Since: &since,
			Actor: AuthServer("authserver-1"),
		},
		{Action: Revoked, Object: Object{Namespace: "team", Name: "agent", UID: "u"}, Actor: Actor{Kind: ActorDeletion, Time: &since, LastChangedBy: "erin"}},
		{Action: Widened, Object: Object{Namespace: "team", Name: "agent", UID: "u"}, Message: "annotations", Actor: Actor{Kind: ActorUser, Name: "erin", Of: "Organization/acme"}},
		{Action: SurfaceChanged, Object: Object{Kind: "Surface", Name: "surface.yaml"}, Before: "00", After: "11", Actor: ByFile("surface.yaml")},
	} {
		if err := r.Record(event); err != nil {
			t.Fatal(err)
		}
	}
	r.dropped, r.droppedSince = 7, since
	closed(t, r)
	want, err := os.ReadFile("testdata/schema-1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	if defects, summary := verified(t, out.String()); summary.Defects > 0 || summary.Gaps != 1 || len(summary.Chains) != 1 || !summary.Chains[0].Closed {
		t.Errorf("%v, %+v", defects, summary)
	}
}

func TestAnEventWithoutActorSaysSo(t *testing.T) {
	var out bytes.Buffer
	r := recorder(&out)
	record(t, r, 1)
	if err := r.Record(Event{Action: Minted}); err != nil {
		t.Fatal(err)
	}
	closed(t, r)
	if line := lines(out.String())[2]; !strings.Contains(line, `"actor":{"kind":"unknown"}`) {
		t.Error(line)
	}
}

func TestALineIsBounded(t *testing.T) {
	var out bytes.Buffer
	r := recorder(&out)
	long := strings.Repeat("<€\x00\xff", 100_000)
	now := noon
	event := Event{
		Action: Action(long), Object: Object{Kind: long, Namespace: long, Name: long, UID: "u", Generation: 1 << 62},
		Actor:        Actor{Kind: ActorKind(long), Name: long, UID: long, Of: long, Cause: long, Time: &now, LastChangedBy: long},
		Organization: long, KeyID: long, PreviousKeyID: long, Reason: long, Message: long, Endpoint: long, Before: long, After: long,
		Requests: 1 << 62, Count: 1 << 62, Since: &now,
	}
	event.UID = event.UID + "x"
	if err := r.Record(event); err != nil {
		t.Fatal(err)
	}
	closed(t, r)
	if line := lines(out.String())[1]; len(line) > maxLine {
		t.Errorf("%d bytes", len(line))
	}
	if defects, _ := verified(t, out.String()); len(defects) > 0 {
		t.Error(defects)
	}
}

func TestEventsOfManyGoroutinesAreOneChain(t *testing.T) {
	var out bytes.Buffer
	r := recorder(&out)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 100 {
				if err := r.Record(Event{Action: Revoked}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	closed(t, r)
	defects, summary := verified(t, out.String(), func(o *VerifierOptions) { o.Closed = true })
	if len(defects) > 0 || summary.Lines != 802 {
		t.Errorf("%v, %d lines", defects, summary.Lines)
	}
}

var errFull = errors.New("no space left")

// faulty is a writer each of whose writes ends after a number of bytes, where there
// is one: n < 0 is for all of them.
type faulty struct {
	bytes.Buffer
	ends []int
}

func (f *faulty) Write(p []byte) (int, error) {
	end := -1
	if len(f.ends) > 0 {
		end, f.ends = f.ends[0], f.ends[1:]
	}
	if end < 0 || end >= len(p) {
		return f.Buffer.Write(p)
	}
	f.Buffer.Write(p[:end])
	return end, errFull
}

// What a writer refuses is written later: nothing is lost, and the pieces that it took are told apart.
func TestAWriterThatFailsLosesNothing(t *testing.T) {
	const all = -1
	first := len(lines(firstLine(t))[0])
	for _, test := range []struct {
		name   string
		ends   []int
		pieces uint64
		twice  int
	}{
		{"nothing", nil, 0, 0},
		{"one line, whole", []int{all, all, 0}, 0, 0},
		{"one line, in its middle", []int{all, all, 100}, 1, 0},
		{"the first, in its middle", []int{40}, 1, 0},
		{"several", []int{all, 0, 0, 0, all, 0}, 0, 0},
		{"several, in their middle", []int{all, 20, 0, 30, all, 50, all, 100, 1, 100}, 5, 0},
		{"all but the newline", []int{first}, 0, 1},
		{"the newline that ends a piece, only", []int{all, 20, 1}, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out := &faulty{ends: test.ends}
				r := recorder(out)
				if waited := took(func() { record(t, r, 20) }); waited > patience {
					t.Errorf("waited for %v", waited)
				}
				<-clock.RealClock{}.After(time.Minute)
				closed(t, r)
				defects, summary := verified(t, out.String(), func(o *VerifierOptions) { o.Closed = true })
				if len(defects) > 0 || summary.Lines != 22 || summary.Pieces != test.pieces {
					t.Errorf("%v, %d lines, %d pieces in\n%s", defects, summary.Lines, summary.Pieces, out.String())
				}
				if got := strings.Count(out.String(), hashBegin) - 22; got != test.twice {
					t.Errorf("%d lines are there twice, want %d", got, test.twice)
				}
			})
		})
	}
}

func firstLine(t *testing.T) string {
	var out bytes.Buffer
	r := recorder(&out)
	record(t, r, 1)
	closed(t, r)
	return out.String()
}

// counter returns the sum of a metric.
func counter(t testing.TB, gatherer prometheus.Gatherer, name string) (sum float64) {
	t.Helper()
	families, err := gatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += value(m)
			}
		}
	}
	return sum
}

func value(m *dto.Metric) float64 {
	if m.GetGauge() != nil {
		return m.GetGauge().GetValue()
	}
	return m.GetCounter().GetValue()
}

// copies keeps what it is given.
type copies struct{ strings.Builder }

func (c *copies) Export(_ Line, encoded string) { c.WriteString(encoded + "\n") }

func (c *copies) Close() error { c.WriteString("\n"); return nil }

// gate is a writer that blocks while it is shut.
type gate struct {
	bytes.Buffer
	opened chan struct{}
	closed bool
}

func newGate() *gate { return &gate{opened: make(chan struct{})} }

func (g *gate) Write(p []byte) (int, error) {
	<-g.opened
	return g.Buffer.Write(p)
}

func (g *gate) Close() error {
	g.closed = true
	return nil
}

// took is how long something takes, in virtual time.
func took(f func()) time.Duration {
	begin := time.Now()
	f()
	return time.Since(begin)
}

// small makes the queue short.
func small(r *Recorder) { r.queue = make(chan *entry, 50) }

func TestAWriterThatBlocksHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, each = 10, 4
		var logged []string
		log := funcr.New(func(_, args string) { logged = append(logged, args) }, funcr.Options{})
		blocked, kept := newGate(), &copies{}
		r := recorder(blocked, WithLog(log), WithExporter(kept))
		if waited := took(func() {
			var working sync.WaitGroup
			for range workers {
				working.Go(func() { record(t, r, each) })
			}
			working.Wait()
		}); waited > patience {
			t.Errorf("all revocations together waited for %v", waited)
		}
		if waited := took(func() { record(t, r, 100) }); waited > 0 {
			t.Errorf("those after waited for %v", waited)
		}
		if len(logged) != 1 || !strings.Contains(logged[0], "Audit writer blocked; buffering.") {
			t.Errorf("%q", logged)
		}
		const events = workers*each + 100
		if defects, summary := verified(t, kept.String()); len(defects) > 0 || summary.Lines != events+1 {
			t.Errorf("the collector has %d lines meanwhile, %v", summary.Lines, defects)
		}
		close(blocked.opened)
		synctest.Wait()
		record(t, r, 1) // waits again for its line
		if got := len(lines(blocked.String())); got != events+2 {
			t.Errorf("%d lines", got)
		}
		closed(t, r)
		defects, summary := verified(t, blocked.String(), func(o *VerifierOptions) { o.Closed = true })
		if len(defects) > 0 || summary.Lines != events+3 || !blocked.closed || !strings.HasSuffix(kept.String(), "\n\n") {
			t.Errorf("%v, %d lines", defects, summary.Lines)
		}
	})
}

// Whoever returns from Record may be killed: the line is there.
func TestALineIsWrittenBeforeItsCallerGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := newGate()
		r := recorder(slow)
		go func() {
			<-clock.RealClock{}.After(patience / 2)
			close(slow.opened)
		}()
		record(t, r, 1)
		if len(lines(slow.String())) != 2 {
			t.Errorf("written: %q", slow.String())
		}
		closed(t, r)
	})
}

func TestLinesThatAreDroppedLeaveAKnownGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked, registry, kept := newGate(), prometheus.NewRegistry(), &copies{}
		r := recorder(blocked, small, WithExporter(kept))
		registry.MustRegister(r)
		now := testclock.NewFakePassiveClock(noon)
		r.clock = now
		const tooMany = 7
		dropped := 0
		for dropped < tooMany {
			if err := r.Record(Event{Action: Revoked}); errors.Is(err, errDropped) {
				dropped++
				now.SetTime(noon.Add(time.Duration(dropped) * time.Second))
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if lost := counter(t, registry, "apikey_audit_lost_lines_total"); lost != tooMany {
			t.Errorf("%v lost", lost)
		}
		close(blocked.opened)
		synctest.Wait()
		record(t, r, 2)
		closed(t, r)
		if err := r.Record(Event{Action: Revoked}); !errors.Is(err, errClosed) {
			t.Errorf("after the end: %v", err)
		}
		written := lines(blocked.String())
		if gap := written[len(written)-4]; !strings.Contains(gap, `"action":"LinesDropped"`) || !strings.Contains(gap, `"count":7,"since":"2026-01-02T11:00:00.123456789Z"`) {
			t.Errorf("the line before those that follow: %s", gap)
		}
		for name, trail := range map[string]string{"file": blocked.String(), "copies": kept.String()} {
			defects, summary := verified(t, trail, func(o *VerifierOptions) { o.Closed = true })
			if summary.Defects != 0 || summary.Gaps != 1 || len(defects) != 1 || !defects[0].Known {
				t.Errorf("%s: %v", name, defects)
			}
		}
		if n := counter(t, registry, "apikey_audit_lines_total"); int(n) != len(written) {
			t.Errorf("%v lines are counted", n)
		}
		// The record of the gap is part of the chain: it cannot be taken out or changed.
		without := slices.Delete(slices.Clone(written), len(written)-4, len(written)-3)
		if _, summary := verified(t, text(without)); summary.Defects == 0 {
			t.Error("a gap that was hidden is not found")
		}
		if _, summary := verified(t, strings.Replace(blocked.String(), `"count":7`, `"count":1`, 1)); summary.Defects == 0 {
			t.Error("a gap that was made smaller is not found")
		}
	})
}

// Lines may be dropped until the very end.
func TestAGapAtTheEndIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := newGate()
		r := recorder(blocked, small)
		for range 100 {
			_ = r.Record(Event{Action: Minted})
		}
		close(blocked.opened)
		closed(t, r)
		defects, summary := verified(t, blocked.String(), func(o *VerifierOptions) { o.Closed = true })
		if summary.Defects != 0 || summary.Gaps != 1 {
			t.Error(defects)
		}
	})
}

func TestTheEndWaitsForAWriterThatBlocksOnlySoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked, kept := newGate(), &copies{}
		r := recorder(blocked, WithExporter(kept))
		record(t, r, 3)
		var err error
		if waited := took(func() { err = r.Close() }); waited != closeTimeout || err == nil || !strings.Contains(err.Error(), "5 lines") {
			t.Errorf("%v after %v", err, waited)
		}
		if !strings.HasSuffix(kept.String(), "\n\n") {
			t.Error("the exporter was not closed")
		}
		close(blocked.opened)
		synctest.Wait()
		if !blocked.closed {
			t.Error("the writer was not closed")
		}
	})
}

// A pipe whose reader has stopped takes 64 KiB.
func TestAPipeThatNobodyReads(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r := recorder(writer)
	const events = 1000
	if waited := took(func() { record(t, r, events) }); waited > events*patience/10 {
		t.Errorf("waited for %v", waited)
	}
	var read sync.WaitGroup
	var out bytes.Buffer
	read.Go(func() { _, _ = out.ReadFrom(reader) })
	closed(t, r)
	read.Wait()
	defects, summary := verified(t, out.String(), func(o *VerifierOptions) { o.Closed = true })
	if len(defects) > 0 || summary.Lines != events+2 {
		t.Errorf("%v, %d lines", defects, summary.Lines)
	}
}
