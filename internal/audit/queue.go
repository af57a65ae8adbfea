// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"k8s.io/utils/buffer"
)

const (
	// maxWaiting bounds the events that wait for a writer that is stuck: a pipe that
	// nobody reads, or a file system that does not answer. They are some hundred bytes
	// each, and have no string that is longer than in a line.
	maxWaiting = 8192
	// patience is how long a caller waits for its line to be written.
	patience = time.Second
	// closeTimeout is how long the end waits for all lines to be written.
	closeTimeout = 5 * time.Second
)

var (
	// errClosed is returned for an event after Close.
	errClosed = errors.New("the audit trail is closed")
	// errOverflow is returned for an event that found no place.
	errOverflow = fmt.Errorf("the audit trail is stuck, and %d lines wait for it", maxWaiting)
)

// entry is an event that is to be written.
type entry struct {
	event Event
	at    time.Time
	// dropped is how many events found no place just before it.
	dropped uint64
	// end: it is no event; the writer is to be closed.
	end bool

	// done is closed when it was written, or lost, and err says why.
	done chan struct{}
	err  error
	// unattended: nobody waits for that.
	unattended bool
}

// newQueue returns an empty queue, which shrinks when it was emptied.
func newQueue() *buffer.Ring[*entry] {
	const few = 16
	return buffer.NewRing[*entry](buffer.RingOptions{InitialSize: few, NormalSize: few})
}

// enqueue leaves an event to be written. stuck reports that it is not worth waiting.
func (r *Recorder) enqueue(event Event) (e *entry, stuck bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		r.metrics.lost.Inc()
		return nil, false, errClosed
	case r.queue.Len() >= maxWaiting:
		r.dropped++
		r.metrics.lost.Inc()
		return nil, false, errOverflow
	}
	if !r.started {
		r.started = true
		r.push(&entry{event: r.own(Started), unattended: true}) // if it is lost, the next line says so
	}
	e = r.push(&entry{event: event, unattended: r.stuck})
	return e, r.stuck, nil
}

// push puts e at the end of the queue, under the lock.
func (r *Recorder) push(e *entry) *entry {
	if e.event.Actor.Kind == "" {
		e.event.Actor.Kind = ActorUnknown
	}
	e.event, e.at, e.done = e.event.bounded(), r.clock.Now(), make(chan struct{})
	if !e.end {
		e.dropped, r.dropped = r.dropped, 0
	}
	r.queue.WriteOne(e)
	if !r.writing {
		r.writing = true
		go r.drain()
	}
	return e
}

// await waits until e is written or lost, for as long as patience. From then on nobody
// waits until the queue was empty again.
func (r *Recorder) await(e *entry) error {
	waiting, cancel := context.WithTimeout(context.Background(), r.patience)
	defer cancel()
	select {
	case <-e.done:
		return e.err
	case <-waiting.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-e.done:
		return e.err
	default:
	}
	e.unattended = true
	if !r.stuck {
		r.stuck = true
		r.log.Info("the audit trail is stuck: lines wait until it takes them, and nobody waits for that any more")
	}
	return nil
}

// drain writes what is in the queue until it is empty.
func (r *Recorder) drain() {
	for e := r.next(); e != nil; e = r.next() {
		var err error
		if !e.end {
			err = r.write(e)
		} else if closer, ok := r.writer.(io.Closer); ok {
			err = closer.Close()
		}
		r.finish(e, err)
	}
}

// next returns what is to be written next; nil, when the goroutine that writes is to
// end.
func (r *Recorder) next() *entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.queue.ReadOne()
	if !ok {
		r.writing, r.stuck = false, false
		return nil
	}
	return e
}

// finish tells whoever waits for e, and logs what became of it if nobody does.
func (r *Recorder) finish(e *entry, err error) {
	r.mu.Lock()
	unattended := e.unattended
	e.err = err
	close(e.done)
	r.mu.Unlock()
	if err != nil && unattended {
		r.log.Error(err, "audit line lost", "action", e.event.Action, "namespace", e.event.Namespace, "name", e.event.Name, "keyID", e.event.KeyID)
	}
}

// end has the last line written, and then the writer closed. It returns nothing if
// that was asked for before.
func (r *Recorder) end() (last, end *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil
	}
	r.closed = true
	last = &entry{}
	if r.started {
		last = r.push(&entry{event: r.own(Stopped)})
	}
	return last, r.push(&entry{end: true})
}

// abandon gives up what waits for a writer that is stuck, of which only the end of the
// process can end the goroutine. Should it go on before, the writer is closed.
func (r *Recorder) abandon(end *entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	lost := 0
	for e, ok := r.queue.ReadOne(); ok; e, ok = r.queue.ReadOne() {
		if e == end {
			continue
		}
		lost++
		e.err = errClosed
		close(e.done)
	}
	r.metrics.lost.Add(float64(lost))
	end.unattended = true
	r.queue.WriteOne(end)
	return fmt.Errorf("the audit trail is stuck: it has not taken a line, and the %d after it, within %s", lost, r.closeTimeout)
}
