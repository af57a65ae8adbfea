// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/util/uuid"
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
	clock    clock.PassiveClock
	program  string
	process  string
	exporter Exporter
	metrics  *metrics

	mu     sync.Mutex
	writer io.Writer
	// started and closed: the first and the last line of the chain were made.
	started, closed bool
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

// WithMetrics has lines and losses counted in registerer.
func WithMetrics(registerer prometheus.Registerer) Option {
	return func(r *Recorder) { r.metrics = newMetrics(registerer) }
}

// NewRecorder returns a Recorder that writes whole lines to writer, each with one
// call of Write. Its chain begins with the first event.
func NewRecorder(writer io.Writer, clock clock.PassiveClock, options ...Option) *Recorder {
	r := &Recorder{writer: writer, clock: clock, process: string(uuid.NewUUID()), metrics: newMetrics(nil)}
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

// errClosed is returned for an event after Close.
var errClosed = errors.New("the audit trail is closed")

// Record writes one event. An error means that the line is missing; it has been
// counted.
func (r *Recorder) Record(event Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		r.metrics.lost.Inc()
		return errClosed
	}
	if !r.started {
		r.started = true
		_ = r.write(r.own(Started)) // if it is lost, the next line says so
	}
	return r.write(event)
}

// Close writes the last line of the chain, and closes the writer if it can be. What
// is recorded later is lost.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	var err error
	if r.started {
		err = r.write(r.own(Stopped))
	}
	if closer, ok := r.writer.(io.Closer); ok {
		err = errors.Join(err, closer.Close())
	}
	return err
}

// own is an event about the chain itself.
func (r *Recorder) own(action Action) Event {
	return Event{Action: action, Object: Object{Kind: "Process", Name: r.program}, Actor: Actor{Kind: ActorKind(r.program)}}
}

// write makes the next line of the chain, and writes it. The chain goes on from it
// even if it cannot be written, so that a copy of it elsewhere is part of the chain.
func (r *Recorder) write(event Event) error {
	if event.Actor.Kind == "" {
		event.Actor.Kind = ActorUnknown
	}
	l := line{
		chained: chained{Schema: Schema, Time: r.clock.Now().UTC(), Process: r.process, Sequence: r.sequence + 1, Previous: r.previous},
		Event:   event.bounded(),
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
