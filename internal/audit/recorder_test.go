// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	testclock "k8s.io/utils/clock/testing"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 123456789, time.FixedZone("elsewhere", 3600))

// unhurried waits for what is written, however slow the machine is.
func unhurried(r *Recorder) { r.patience, r.closeTimeout = time.Hour, time.Hour }

// hurried undoes that, where time is virtual.
func hurried(r *Recorder) { r.patience, r.closeTimeout = patience, closeTimeout }

// recorder returns a Recorder whose chain is always the same.
func recorder(w io.Writer, options ...Option) *Recorder {
	r := NewRecorder(w, testclock.NewFakePassiveClock(noon), append([]Option{WithProgram("manager"), unhurried}, options...)...)
	r.process = "5f0c1b9e-0000-4000-8000-000000000001"
	r.previous = genesis(r.process)
	r.written = r.previous
	return r
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
		{Action: SurfaceChanged, Object: Object{Kind: "Surface", Name: "surface.yaml"}, Before: "00", After: "11", Actor: ByFile("surface.yaml")},
	} {
		if err := r.Record(event); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/schema-1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	if defects, summary := verified(t, out.String()); len(defects) > 0 || len(summary.Chains) != 1 || !summary.Chains[0].Closed {
		t.Errorf("%v, %+v", defects, summary)
	}
}

func TestAnEventWithoutActorSaysSo(t *testing.T) {
	var out bytes.Buffer
	if err := recorder(&out).Record(Event{Action: Minted}); err != nil {
		t.Fatal(err)
	}
	if line := lines(out.String())[1]; !strings.Contains(line, `"actor":{"kind":"unknown"}`) {
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
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
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

func TestAChainStaysVerifiableWhateverIsLost(t *testing.T) {
	const all = -1
	for _, test := range []struct {
		name      string
		ends      []int
		lost      int
		fragments int
	}{
		{"nothing", nil, 0, 0},
		{"one line, whole", []int{all, all, 0}, 1, 0},
		{"one line, in its middle", []int{all, all, 100}, 1, 1},
		{"the first line of all", []int{0}, 1, 0},
		{"the first, in its middle", []int{40}, 1, 1},
		{"several", []int{all, 0, 0, 0, all, 0}, 4, 0},
		{"several, some in their middle", []int{all, 10, 0, 20, 30, all, 50, all, 1, 1, 1}, 8, 6},
		{"the newline that ends a fragment, only", []int{all, 10, 1, 0}, 3, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := &faulty{ends: test.ends}
			r := recorder(out)
			lost := 0
			for range 20 {
				if err := r.Record(Event{Action: Minted, Actor: Manager(CauseSchedule)}); err != nil {
					if !errors.Is(err, errFull) {
						t.Fatal(err)
					}
					lost++
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			defects, summary := verified(t, out.String())
			if len(defects) > 0 {
				t.Errorf("%v in\n%s", defects, out.String())
			}
			if got := 22 - int(summary.Chains[0].Lines); got != test.lost {
				t.Errorf("%d lines are lost, want %d", got, test.lost)
			}
			if got := len(lines(out.String())) - int(summary.Chains[0].Lines); got != test.fragments {
				t.Errorf("%d fragments, want %d", got, test.fragments)
			}
		})
	}
}

func TestWhatIsWholeButForItsNewlineIsNotLost(t *testing.T) {
	var size int
	{
		var out bytes.Buffer
		if err := recorder(&out).Record(Event{Action: Minted}); err != nil {
			t.Fatal(err)
		}
		size = len(lines(out.String())[0])
	}
	out := &faulty{ends: []int{size}}
	r := recorder(out)
	for range 3 {
		if err := r.Record(Event{Action: Minted}); err != nil {
			t.Fatal(err)
		}
	}
	defects, summary := verified(t, out.String())
	if len(defects) > 0 || summary.Lines != 4 {
		t.Errorf("%v, %d lines of\n%s", defects, summary.Lines, out.String())
	}
}

func TestALostLineIsAnErrorAndIsCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	out := &faulty{ends: []int{-1, -1, 0, 5}}
	r := recorder(out)
	registry.MustRegister(r)
	for i, want := range []error{nil, errFull, errFull, nil} {
		if err := r.Record(Event{Action: Revoked}); !errors.Is(err, want) {
			t.Errorf("event %d: got %v, want %v", i, err, want)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Record(Event{Action: Revoked}); !errors.Is(err, errClosed) {
		t.Errorf("after the end: %v", err)
	}
	if lines, lost := counter(t, registry, "apikey_audit_lines_total"), counter(t, registry, "apikey_audit_lost_lines_total"); lines != 4 || lost != 3 {
		t.Errorf("%v lines, %v lost", lines, lost)
	}
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
type copies []Copy

func (c *copies) Export(copied Copy) { *c = append(*c, copied) }

func TestCopiesAreTheWholeChainWhateverIsLost(t *testing.T) {
	kept := &copies{}
	r := recorder(&faulty{ends: []int{-1, 0, 30, 0, 0}}, WithExporter(kept))
	for range 10 {
		_ = r.Record(Event{Action: Minted})
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, c := range *kept {
		text.WriteString(c.Line + "\n")
	}
	defects, summary := verified(t, text.String(), func(o *VerifierOptions) { o.Closed = true })
	if len(defects) > 0 || summary.Lines != 12 {
		t.Errorf("%v, %d lines", defects, summary.Lines)
	}
}
