// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
)

const (
	// refusalInterval is how often refusals of a kind that goes on are recorded.
	refusalInterval = time.Minute
	// maxRefusalKinds bounds the kinds of one interval, and so the lines to twice as many a minute.
	maxRefusalKinds = 256
	// tooMany is the message about the kinds beyond.
	tooMany = "too many kinds of refusals to count apart: these are all others"
)

// Kind is what refusals in one line have in common. It holds nothing that a client chose: what is
// known of a key, or of an object of the Kubernetes API.
type Kind struct {
	// Endpoint that was asked; empty in the manager.
	Endpoint string
	Reason   string
	// Object is the APIKey, or where it would be.
	Object       Object
	Organization string
	KeyID        string
	// Actor is the one of NewRefusals, unless it is set.
	Actor Actor
	// other: it stands for kinds that were too many.
	other bool
}

// Refusals aggregates refusals: the first of a kind is recorded at once, those that follow are
// counted and recorded once a minute. A flood of them is a bounded number of lines.
//
// Note never waits for the writer, and allocates for the first of a kind only.
type Refusals struct {
	recorder *Recorder
	actor    Actor
	clock    clock.WithTicker
	log      logr.Logger

	mu    sync.Mutex
	kinds map[Kind]*tally
	// stopped: Run has ended, so each refusal is recorded at once.
	stopped bool
}

// tally counts refusals of one kind that were not recorded yet.
type tally struct {
	count   int64
	since   time.Time
	message string
}

// NewRefusals returns a Refusals. actor is that of each Kind without one.
func NewRefusals(recorder *Recorder, actor Actor, clock clock.WithTicker, log logr.Logger) *Refusals {
	return &Refusals{recorder: recorder, actor: actor, clock: clock, log: log, kinds: map[Kind]*tally{}}
}

// Note counts one refusal.
func (r *Refusals) Note(kind Kind) { r.NoteLatest(kind, "") }

// NoteLatest counts one refusal with a message. A line has the latest message of its kind.
func (r *Refusals) NoteLatest(kind Kind, message string) {
	r.mu.Lock()
	counted := r.kinds[kind]
	if others := (Kind{Endpoint: kind.Endpoint, Reason: kind.Reason}); counted == nil && len(r.kinds) >= maxRefusalKinds && kind != others {
		others.other = true
		kind, message, counted = others, tooMany, r.kinds[others]
	}
	if counted != nil && !r.stopped {
		counted.count++
		if message != "" {
			counted.message = message
		}
		r.mu.Unlock()
		return
	}
	now := r.clock.Now()
	r.kinds[kind] = &tally{since: now}
	r.mu.Unlock()
	r.record(kind, tally{count: 1, since: now, message: message})
}

// Run records what was counted once a minute until ctx is done, and then what is left.
func (r *Refusals) Run(ctx context.Context) error {
	ticker := r.clock.NewTicker(refusalInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			r.flush(true)
			return nil
		case <-ticker.C():
			r.flush(false)
		}
	}
}

// flush records what was counted, and forgets the kinds that were not refused for an interval: their
// next refusal is a first one again.
func (r *Refusals) flush(stop bool) {
	now, due := r.clock.Now(), map[Kind]tally{}
	r.mu.Lock()
	r.stopped = stop
	for kind, counted := range r.kinds {
		if counted.count == 0 {
			delete(r.kinds, kind)
			continue
		}
		due[kind] = *counted
		*counted = tally{since: now}
	}
	r.mu.Unlock()
	for kind, counted := range due {
		r.record(kind, counted)
	}
}

// record queues a line without waiting for it: a request may be behind the call.
func (r *Refusals) record(kind Kind, counted tally) {
	since := counted.since.UTC()
	event := Event{
		Action: Refused, Object: kind.Object, Actor: kind.Actor, Organization: kind.Organization, KeyID: kind.KeyID,
		Reason: kind.Reason, Endpoint: kind.Endpoint, Count: counted.count, Since: &since, Message: counted.message,
	}
	if kind.Actor == (Actor{}) {
		event.Actor = r.actor
	}
	if _, err := r.recorder.enqueue(event); err != nil {
		r.log.Error(err, "audit line lost", "action", Refused, "reason", kind.Reason, "count", counted.count)
	}
}
