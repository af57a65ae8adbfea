// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/utils/buffer"
	"k8s.io/utils/clock"
)

// Copy is a line, for whoever keeps it elsewhere.
type Copy struct {
	Time     time.Time
	Process  string
	Sequence uint64
	Event    Event
	// Line is the line itself, byte for byte, without its newline.
	Line string
}

// Exporter keeps copies of lines elsewhere.
type Exporter interface {
	// Export must not block. It gets the lines in their order, also those that could
	// not be written.
	Export(Copy)
}

// Recorder writes events to one writer, as one chain. It is safe for concurrent use.
type Recorder struct {
	// Collector has its metrics.
	prometheus.Collector

	clock    clock.PassiveClock
	program  string
	process  string
	exporter Exporter
	metrics  *metrics
	log      logr.Logger
	// patience and closeTimeout are the constants; tests of what is written have more.
	patience, closeTimeout time.Duration

	mu sync.Mutex
	// queue has what is to be written. While writing, one goroutine writes it, and ends
	// when there is nothing left.
	queue   *buffer.Ring[*entry]
	writing bool
	// stuck: somebody has waited in vain since the queue was last empty.
	stuck bool
	// dropped is how many events found no place in the queue since the last that did.
	dropped uint64
	// started and closed: the first and the last line of the chain are in the queue, or
	// were.
	started, closed bool

	// The rest belongs to the goroutine that writes.

	writer io.Writer
	// sequence and previous are those of the line that was made last.
	sequence uint64
	previous string
	// written is the hash of the line that was written last.
	written string
	// lost is what the next line has to tell.
	lost Loss
	// torn: what was written ends in the middle of a line.
	torn bool
}

// Option is an option of NewRecorder.
type Option func(*Recorder)

// WithProgram names the program in the first and the last line of the chain.
func WithProgram(name string) Option { return func(r *Recorder) { r.program = name } }

// WithExporter has copies of the lines kept elsewhere, too.
func WithExporter(exporter Exporter) Option { return func(r *Recorder) { r.exporter = exporter } }

// WithLog has what nobody waits to be told logged.
func WithLog(log logr.Logger) Option { return func(r *Recorder) { r.log = log } }

// NewRecorder returns a Recorder that writes whole lines to writer, each with one
// call of Write. Its chain begins with the first event.
func NewRecorder(writer io.Writer, clock clock.PassiveClock, options ...Option) *Recorder {
	metrics := newMetrics()
	r := &Recorder{
		Collector: metrics, metrics: metrics,
		writer: writer, clock: clock, process: string(uuid.NewUUID()), queue: newQueue(),
		patience: patience, closeTimeout: closeTimeout,
	}
	r.previous = genesis(r.process)
	r.written = r.previous
	// A file may end in the middle of a line: its last writer died while it wrote.
	if file, ok := writer.(interface{ Torn() bool }); ok && file.Torn() {
		r.lost.Fragments = 1
	}
	for _, option := range options {
		option(r)
	}
	return r
}

// Record writes one event, or leaves it to be written where that takes long. An error
// means that the line is missing; it has been counted.
//
// It waits for the writer, so that what was recorded is written when the process is
// killed after it; but a writer that is stuck is waited for once, and for no longer than
// patience.
func (r *Recorder) Record(event Event) error {
	e, stuck, err := r.enqueue(event)
	if err != nil || stuck {
		return err
	}
	return r.await(e)
}

// Close writes the last line of the chain, and closes the writer if it can be. What
// is recorded later is lost, and so is what a writer that is stuck has not taken within
// closeTimeout.
func (r *Recorder) Close() error {
	last, end := r.end()
	if end == nil {
		return nil
	}
	waiting, cancel := context.WithTimeout(context.Background(), r.closeTimeout)
	defer cancel()
	select {
	case <-end.done:
		return errors.Join(last.err, end.err)
	case <-waiting.Done():
		return r.abandon(end)
	}
}

// own is an event about the chain itself.
func (r *Recorder) own(action Action) Event {
	return Event{Action: action, Object: Object{Kind: "Process", Name: r.program}, Actor: Actor{Kind: ActorKind(r.program)}}
}

// write makes the next line of the chain, and writes it. The chain goes on from it
// even if it cannot be written, so that a copy of it elsewhere is part of the chain.
func (r *Recorder) write(e *entry) error {
	r.lost.Dropped += e.dropped
	l := line{
		chained: chained{Schema: Schema, Time: e.at.UTC(), Process: r.process, Sequence: r.sequence + 1, Previous: r.previous},
		Event:   e.event,
	}
	if r.lost != (Loss{}) {
		lost := r.lost
		lost.Since = r.written
		l.Lost = &lost
	}
	sealed, hash, err := l.seal()
	if err != nil { // no event is like that
		r.metrics.lost.Inc()
		return err
	}
	r.sequence, r.previous = l.Sequence, hash
	if r.exporter != nil {
		r.exporter.Export(Copy{Time: l.Time, Process: r.process, Sequence: l.Sequence, Event: l.Event, Line: string(sealed)})
	}
	if err := r.put(sealed); err != nil {
		r.lost.Lines++
		r.metrics.lost.Inc()
		return fmt.Errorf("write audit line: %w", err)
	}
	r.written, r.lost = hash, Loss{}
	r.metrics.lines.Inc()
	return nil
}

// put writes a line, and keeps account of how much of it was written.
func (r *Recorder) put(sealed []byte) error {
	data := make([]byte, 0, len(sealed)+2)
	if r.torn {
		data = append(data, '\n')
	}
	begin := len(data)
	data = append(append(data, sealed...), '\n')
	n, err := r.writer.Write(data)
	switch {
	case err == nil:
		r.torn = false
		return nil
	case n >= begin+len(sealed): // all that counts is there
		r.torn = n < len(data)
		return nil
	case n > begin:
		r.torn = true
		r.lost.Fragments++
	case n == begin && begin > 0: // the newline that ends the fragment
		r.torn = false
	}
	return err
}
