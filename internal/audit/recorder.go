// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/utils/clock"
)

const (
	// maxWaiting bounds the lines that wait for the writer, about a kilobyte each.
	maxWaiting = 8192
	// reserved is how many of them a new event may need: itself, LinesDropped before it, and both
	// LinesDropped and Stopped at the end.
	reserved = 4
	// patience is how long a caller waits for its line to be written.
	patience = time.Second
	// retryInterval is how long a writer that failed is left alone.
	retryInterval = time.Second
	// closeTimeout is how long Close waits for the queue to be written.
	closeTimeout = 5 * time.Second
)

var (
	errClosed  = errors.New("audit recorder is closed")
	errDropped = fmt.Errorf("audit line dropped: %d lines wait for the writer", maxWaiting)
)

// Exporter stores copies of lines elsewhere.
type Exporter interface {
	// Export gets the lines in order, before they are written; encoded is a line byte for byte, without
	// its newline. It must not block.
	Export(l Line, encoded string)
	// Close stores what waits, within some seconds.
	Close() error
}

// Recorder writes events as one chain. It is safe for concurrent use.
type Recorder struct {
	// Collector has its metrics.
	prometheus.Collector

	writer   io.Writer
	clock    clock.PassiveClock
	program  string
	process  string
	exporter Exporter
	metrics  *metrics
	log      logr.Logger

	// queue is written by one goroutine, which then closes the writer, and then drained.
	queue   chan *entry
	drained chan error
	// blocked: a write failed or took longer than patience, and the queue was not empty since.
	blocked atomic.Bool

	// mu guards the chain, and makes its order that of the queue.
	mu       sync.Mutex
	sequence uint64
	previous string
	closed   bool
	// dropped counts the lines dropped since droppedSince that no line has recorded yet.
	dropped      int64
	droppedSince time.Time
}

// entry is a line that waits, between two newlines.
type entry struct {
	data    []byte
	written chan struct{}
}

// Option is an option of NewRecorder.
type Option func(*Recorder)

// WithProgram names the program in the lines about the chain itself.
func WithProgram(name string) Option { return func(r *Recorder) { r.program = name } }

// WithExporter exports copies of the lines.
func WithExporter(exporter Exporter) Option { return func(r *Recorder) { r.exporter = exporter } }

// WithLog logs when the writer blocks.
func WithLog(log logr.Logger) Option { return func(r *Recorder) { r.log = log } }

// NewRecorder returns a Recorder that writes to writer until Close, one call of Write a line. Its
// chain begins with the first event.
func NewRecorder(writer io.Writer, clock clock.PassiveClock, options ...Option) *Recorder {
	metrics := newMetrics()
	r := &Recorder{
		Collector: metrics, metrics: metrics,
		writer: writer, clock: clock, process: string(uuid.NewUUID()),
		queue: make(chan *entry, maxWaiting), drained: make(chan error, 1),
	}
	r.previous = genesis(r.process)
	for _, option := range options {
		option(r)
	}
	go r.drain()
	return r
}

// Record queues one event and waits for its line to be written, so that the line survives a crash of the
// process after it. It waits at most patience, and not at all while the writer is blocked. An
// error means that the line was dropped.
func (r *Recorder) Record(event Event) error {
	queued, err := r.enqueue(event)
	if err != nil || r.blocked.Load() {
		return err
	}
	waiting, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case <-queued.written:
	case <-waiting.Done():
		r.block(nil)
	}
	return nil
}

// enqueue queues an event, or counts it as dropped. It never waits.
func (r *Recorder) enqueue(event Event) (queued *entry, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		err = errClosed
	case cap(r.queue)-len(r.queue) < reserved:
		err = errDropped
	default:
		queued, err = r.chain(event)
	}
	if err != nil {
		if r.dropped == 0 {
			r.droppedSince = r.clock.Now().UTC()
		}
		r.dropped++
		r.metrics.lost.Inc()
	}
	return queued, err
}

// chain queues the next line of the chain, and before it Started or LinesDropped, if due.
func (r *Recorder) chain(event Event) (last *entry, err error) {
	var events []Event
	if r.sequence == 0 {
		events = append(events, r.own(Started))
	}
	if r.dropped > 0 {
		gap, since := r.own(LinesDropped), r.droppedSince
		gap.Count, gap.Since = r.dropped, &since
		events, r.dropped = append(events, gap), 0
	}
	for _, event := range append(events, event) {
		l := Line{
			Schema: Schema, Time: r.clock.Now().UTC(), Process: r.process,
			Sequence: r.sequence + 1, Previous: r.previous, Event: event.bounded(),
		}
		sealed, hash, err := l.seal()
		if err != nil {
			return nil, err
		}
		r.sequence, r.previous = l.Sequence, hash
		if r.exporter != nil {
			r.exporter.Export(l, string(sealed))
		}
		last = &entry{data: fmt.Appendf(nil, "\n%s\n", sealed), written: make(chan struct{})}
		r.queue <- last
	}
	return last, nil
}

func (r *Recorder) own(action Action) Event {
	return Event{Action: action, Object: Object{Kind: "Process", Name: r.program}, Actor: Actor{Kind: ActorKind(r.program)}}
}

// drain writes the queue until it is closed, and then closes the writer if it can be closed.
func (r *Recorder) drain() {
	for e := range r.queue {
		r.write(e.data)
		r.metrics.lines.Inc()
		if len(r.queue) == 0 {
			r.blocked.Store(false)
		}
		close(e.written)
	}
	var err error
	if closer, ok := r.writer.(io.Closer); ok {
		err = closer.Close()
	}
	r.drained <- err
}

// write writes a line, again until it is there as a whole.
func (r *Recorder) write(data []byte) {
	for rest := data[1:]; ; {
		n, err := r.writer.Write(rest)
		if err == nil {
			return
		}
		if n > 0 {
			rest = data // a newline ends the piece that is there
		}
		r.block(err)
		retry, cancel := context.WithTimeout(context.Background(), retryInterval)
		<-retry.Done()
		cancel()
	}
}

// block keeps Record from waiting until the queue is empty.
func (r *Recorder) block(err error) {
	if r.blocked.CompareAndSwap(false, true) {
		r.log.Error(err, "Audit writer blocked; buffering.")
	}
}

// Close writes the last line of the chain, and closes the writer, if it can be closed, and the exporter.
// Lines that the writer does not take within closeTimeout are lost if the process ends.
func (r *Recorder) Close() (err error) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	if r.sequence > 0 {
		_, err = r.chain(r.own(Stopped))
	}
	close(r.queue)
	r.mu.Unlock()

	waiting, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	select {
	case closed := <-r.drained:
		err = errors.Join(err, closed)
	case <-waiting.Done():
		err = fmt.Errorf("close audit trail: %d lines were not written within %s", len(r.queue)+1, closeTimeout)
	}
	if r.exporter != nil {
		err = errors.Join(err, r.exporter.Close())
	}
	return err
}
