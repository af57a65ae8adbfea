// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
)

// gate is a writer that is stuck while it is shut.
type gate struct {
	mu     sync.Mutex
	out    bytes.Buffer
	fail   error
	closed bool
	opened chan struct{}
}

func newGate() *gate { return &gate{opened: make(chan struct{})} }

func (g *gate) Write(p []byte) (int, error) {
	<-g.opened
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fail != nil {
		return 0, g.fail
	}
	return g.out.Write(p)
}

func (g *gate) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return nil
}

func (g *gate) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.out.String()
}

// took is how long something takes, in virtual time.
func took(f func()) time.Duration {
	begin := time.Now()
	f()
	return time.Since(begin)
}

func TestAWriterThatIsStuckHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, each = 16, 100
		stuck, registry := newGate(), prometheus.NewRegistry()
		r := recorder(stuck, hurried)
		registry.MustRegister(r)
		if waited := took(func() {
			var working sync.WaitGroup
			for range workers {
				working.Go(func() {
					for range each {
						if err := r.Record(Event{Action: Revoked}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			working.Wait()
		}); waited > patience {
			t.Errorf("all that went on waited for %v", waited)
		}

		// What finds no place is lost, at once.
		const before, tooMany = workers * each, 7
		overflown := 0
		if waited := took(func() {
			for range maxWaiting - before + tooMany {
				if err := r.Record(Event{Action: Minted}); errors.Is(err, errOverflow) {
					overflown++
				} else if err != nil {
					t.Error(err)
				}
			}
		}); waited > 0 {
			t.Errorf("waited for %v", waited)
		}
		// One line is being written, the first of all.
		if overflown != tooMany {
			t.Errorf("%d found no place, want %d", overflown, tooMany)
		}
		if lost := counter(t, registry, "apikey_audit_lost_lines_total"); lost != tooMany {
			t.Errorf("%v lost", lost)
		}

		// The file tells of it, and is a chain.
		close(stuck.opened)
		synctest.Wait()
		if waited := took(func() { record(t, r, 1) }); waited > 0 || !strings.HasSuffix(stuck.String(), "\n") {
			t.Errorf("waited for %v", waited)
		}
		written := lines(stuck.String())
		if last := written[len(written)-1]; !strings.Contains(last, `"dropped":7}`) {
			t.Errorf("the line after says nothing of them: %s", last)
		}
		if strings.Count(stuck.String(), `"dropped"`) != 1 {
			t.Error("they are told of twice")
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		defects, summary := verified(t, stuck.String(), func(o *VerifierOptions) { o.Closed = true })
		if len(defects) > 0 || summary.Lines != maxWaiting+3 {
			t.Errorf("%v, %d lines", defects, summary.Lines)
		}
		if n := counter(t, registry, "apikey_audit_lines_total"); n != maxWaiting+3 {
			t.Errorf("%v lines are counted", n)
		}
	})
}

// What is dropped has no number, so the copies are a chain, too, whatever else is lost.
func TestCopiesAreAChainWhateverIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, kept := newGate(), &copies{}
		stuck.fail = errFull
		r := recorder(stuck, hurried, WithExporter(kept))
		for range maxWaiting + 5 {
			_ = r.Record(Event{Action: Minted})
		}
		close(stuck.opened)
		synctest.Wait()
		_ = r.Record(Event{Action: Minted}) // tells of them, and is lost
		stuck.fail = nil
		record(t, r, 2)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, c := range *kept {
			text.WriteString(c.Line + "\n")
		}
		for name, trail := range map[string]string{"the file": stuck.String(), "the copies": text.String()} {
			if defects, _ := verified(t, trail); len(defects) > 0 {
				t.Errorf("%s: %v", name, defects)
			}
		}
		if first := lines(stuck.String())[0]; !strings.Contains(first, `"dropped":5}`) {
			t.Error(first)
		}
	})
}

// Whoever has waited is told, and nobody else can be.
func TestALineThatIsLostLaterIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged []string
		log := funcr.New(func(_, args string) { logged = append(logged, args) }, funcr.Options{})
		stuck := newGate()
		stuck.fail = errFull
		r := recorder(stuck, hurried, WithLog(log))
		record(t, r, 1)
		if len(logged) != 1 || !strings.Contains(logged[0], "stuck") {
			t.Errorf("%q", logged)
		}
		if err := r.Record(Event{Action: Revoked, KeyID: "0123456789ab"}); err != nil {
			t.Error(err)
		}
		close(stuck.opened)
		synctest.Wait()
		if len(logged) != 4 || !strings.Contains(logged[3], `"keyID"="0123456789ab"`) {
			t.Errorf("%q", logged)
		}
		if err := r.Record(Event{Action: Revoked}); !errors.Is(err, errFull) || len(logged) != 4 {
			t.Errorf("%v, %q", err, logged)
		}
	})
}

func TestTheEndWaitsForAWriterThatIsStuckOnlySoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, registry := newGate(), prometheus.NewRegistry()
		r := recorder(stuck, hurried)
		registry.MustRegister(r)
		record(t, r, 3)
		var err error
		if waited := took(func() { err = r.Close() }); waited != closeTimeout || err == nil {
			t.Errorf("%v after %v", err, waited)
		}
		if lost := counter(t, registry, "apikey_audit_lost_lines_total"); lost != 4 {
			t.Errorf("%v lost", lost)
		}
		if err := r.Record(Event{Action: Revoked}); !errors.Is(err, errClosed) {
			t.Errorf("after the end: %v", err)
		}
		close(stuck.opened)
		synctest.Wait()
		if !stuck.closed || len(lines(stuck.String())) != 1 {
			t.Errorf("closed: %v, written: %s", stuck.closed, stuck.String())
		}
	})
}

// A pipe whose reader has stopped takes 64 KiB.
func TestAPipeThatNobodyReads(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r := recorder(writer, hurried, func(r *Recorder) { r.closeTimeout = time.Hour })
	const events = 1000
	if waited := took(func() { record(t, r, events) }); waited > events*patience/10 {
		t.Errorf("waited for %v", waited)
	}
	var read sync.WaitGroup
	var out bytes.Buffer
	read.Go(func() { _, _ = out.ReadFrom(reader) })
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	read.Wait()
	defects, summary := verified(t, out.String(), func(o *VerifierOptions) { o.Closed = true })
	if len(defects) > 0 || summary.Lines != events+2 {
		t.Errorf("%v, %d lines", defects, summary.Lines)
	}
}
