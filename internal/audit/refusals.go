// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/puzpuzpuz/xsync/v4"
	"k8s.io/utils/clock"
)

const (
	// refusalInterval is how often refusals of a kind that goes on are told.
	refusalInterval = time.Minute
	// maxRefusalKinds bounds the kinds of one interval, and with them the lines: twice
	// as many a minute, whatever happens.
	maxRefusalKinds = 256
)

// Kind is what refusals have in common that are told in one line. It holds nothing
// that a client chose: what is known of a key, or of an object of the Kubernetes API.
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

// anyOther is k without what there may be too much of.
func (k Kind) anyOther() Kind { return Kind{Endpoint: k.Endpoint, Reason: k.Reason, other: true} }

// plain reports whether k is one of few: the program's endpoints and reasons.
func (k Kind) plain() bool { return k.other || k == Kind{Endpoint: k.Endpoint, Reason: k.Reason} }

// tooMany is the message about kinds that were too many.
const tooMany = "more keys or namespaces were refused than are told apart: these are of any others"

// Refusals tells of refusals: of the first of a kind at once, of those that follow how
// many there were, once a minute. A flood of them is some lines a minute.
//
// Note neither locks nor waits, and allocates for the first of a kind only. The lines
// are written by Run.
type Refusals struct {
	recorder *Recorder
	actor    Actor
	clock    clock.WithTicker
	log      logr.Logger
	// stopped: Run writes no more lines.
	stopped atomic.Bool
	kinds   *xsync.Map[Kind, *tally]
	// size is how many kinds there are that could be more.
	size atomic.Int64
	// fresh has kinds that nothing was told of yet.
	fresh chan Kind
}

// tally counts refusals of one kind that were not told yet.
type tally struct {
	count atomic.Int64
	// since is when the count began; Run's own.
	since time.Time
	// latest is what NoteLatest was told last, until a line has it.
	latest atomic.Pointer[string]
	// bounded: it counts towards the bound of kinds.
	bounded bool
}

// ended is the count, and any that is about as low, of a tally that nobody reads any more.
const ended = math.MinInt64 / 2

// NewRefusals returns a Refusals that tells nothing until Run runs. Where a Kind has no
// actor, it is actor.
func NewRefusals(recorder *Recorder, actor Actor, clock clock.WithTicker, log logr.Logger) *Refusals {
	return &Refusals{
		recorder: recorder, actor: actor, clock: clock, log: log,
		kinds: xsync.NewMap[Kind, *tally](),
		fresh: make(chan Kind, 2*maxRefusalKinds),
	}
}

// Note counts one refusal.
func (r *Refusals) Note(kind Kind) { r.note(kind, nil) }

// NoteLatest counts one refusal, of which the next line about its kind has a message, if
// no other comes before that: a line tells of the latest, and counts the others. Unlike
// Note it allocates.
func (r *Refusals) NoteLatest(kind Kind, message string) { r.note(kind, &message) }

func (r *Refusals) note(kind Kind, message *string) {
	if r.stopped.Load() { // nobody would tell of it
		r.record(kind, 1, r.clock.Now(), message)
		return
	}
	for {
		counted, ok := r.kinds.Load(kind)
		if !ok {
			var first bool
			switch counted, first = r.admit(kind, message); {
			case first:
				return
			case counted == nil:
				kind, message = kind.anyOther(), nil
				continue
			}
		}
		if message != nil {
			// Before the count: who counts the line finds it.
			counted.latest.Store(message)
		}
		if counted.count.Add(1) > 0 {
			return
		}
		r.remove(kind, counted) // Run has ended it just now
	}
}

// remove takes a tally out that has ended.
func (r *Refusals) remove(kind Kind, ended *tally) {
	r.kinds.Compute(kind, func(current *tally, loaded bool) (*tally, xsync.ComputeOp) {
		if loaded && current == ended {
			return nil, xsync.DeleteOp
		}
		return current, xsync.CancelOp
	})
}

// admit makes a tally for a new kind, which has the first refusal: Run may read it as soon
// as it is there. Where another was first it returns that one's, and nil if there are too
// many kinds.
func (r *Refusals) admit(kind Kind, message *string) (counted *tally, first bool) {
	bounded := !kind.plain()
	if bounded && r.size.Add(1) > maxRefusalKinds {
		r.size.Add(-1)
		return nil, false
	}
	made := &tally{since: r.clock.Now(), bounded: bounded}
	made.latest.Store(message)
	made.count.Store(1)
	counted, before := r.kinds.LoadOrStore(kind, made)
	if before {
		if bounded {
			r.size.Add(-1)
		}
		return counted, false
	}
	select {
	case r.fresh <- kind:
	default: // Run is behind: it is told at the end of the minute
	}
	return counted, true
}

// Run writes the lines until ctx is done, and then what was not told yet.
func (r *Refusals) Run(ctx context.Context) error {
	ticker := r.clock.NewTicker(refusalInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			r.stopped.Store(true)
			r.sweep()
			return nil
		case kind := <-r.fresh:
			if counted, ok := r.kinds.Load(kind); ok {
				r.tell(kind, counted, r.clock.Now())
			}
		case <-ticker.C():
			r.sweep()
		}
	}
}

// sweep tells of every kind that had refusals, and forgets the others: their next one
// is a first one again.
func (r *Refusals) sweep() {
	now := r.clock.Now()
	r.kinds.Range(func(kind Kind, counted *tally) bool {
		if counted.count.CompareAndSwap(0, ended) {
			r.remove(kind, counted)
			if counted.bounded {
				r.size.Add(-1)
			}
			return true
		}
		r.tell(kind, counted, now)
		return true
	})
}

// tell writes a line about what was counted so far.
func (r *Refusals) tell(kind Kind, counted *tally, now time.Time) {
	count := counted.count.Swap(0)
	if count <= 0 {
		return
	}
	since := counted.since
	counted.since = now
	r.record(kind, count, since, counted.latest.Swap(nil))
}

// record writes a line about refusals of a kind; message may be nil.
func (r *Refusals) record(kind Kind, count int64, since time.Time, message *string) {
	since = since.UTC()
	event := Event{
		Action: Refused, Object: kind.Object, Actor: kind.Actor, Organization: kind.Organization, KeyID: kind.KeyID,
		Reason: kind.Reason, Endpoint: kind.Endpoint, Count: count, Since: &since,
	}
	switch {
	case kind.other:
		event.Message = tooMany
	case message != nil:
		event.Message = *message
	}
	if kind.Actor == (Actor{}) {
		event.Actor = r.actor
	}
	if err := r.recorder.Record(event); err != nil {
		r.log.Error(err, "audit line lost", "action", Refused, "reason", kind.Reason, "count", count)
	}
}
