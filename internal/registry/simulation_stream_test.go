// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// simStream is one watch. What it brings comes in order, once, and late.
type simStream struct {
	link *simLink
	kind simKind
	// initial has what is brought first, and place is that of what follows.
	initial []watch.Event
	place   int
	// arrived is when the last event arrived: the next one comes later.
	arrived time.Time
	// held comes after the next change.
	held    *simChange
	events  chan watch.Event
	stopped chan struct{}
	// served is closed when the API server ends.
	served <-chan struct{}
	// blinded is closed when the stream is to end; nil for one of Leases.
	blinded <-chan struct{}
	once    sync.Once
	// lasts is after how long the API server ends it.
	lasts time.Duration
	// whole lets events through unless this stream is dead for good.
	whole *simGate
}

var _ watch.Interface = (*simStream)(nil)

func newSimStream(l *simLink, kind simKind) *simStream {
	return &simStream{link: l, kind: kind, events: make(chan watch.Event), stopped: make(chan struct{}), arrived: time.Now()}
}

func (s *simStream) Stop()                          { s.once.Do(func() { close(s.stopped) }) }
func (s *simStream) ResultChan() <-chan watch.Event { return s.events }

// begin finds out what the stream is to bring.
func (s *simStream) begin(options metav1.ListOptions, streamed bool) error {
	s.lasts = time.Duration(ptr.Deref(options.TimeoutSeconds, simMinRequestTimeout)) * time.Second
	s.whole, s.served = s.link.forever.Load(), s.link.api.served()
	if s.kind != simLeases {
		s.blinded = s.link.blind.goesOn()
	}
	if !streamed {
		revision, err := strconv.ParseInt(options.ResourceVersion, 10, 64)
		s.place = s.link.api.place(s.kind, revision)
		return err
	}
	var objects []client.Object
	var revision int64
	var err error
	s.link.process.rng.draw(func(rng *rand.Rand) { objects, revision, err = s.link.api.read(s.kind, options, rng) })
	if err != nil {
		return err
	}
	for _, obj := range objects {
		s.initial = append(s.initial, watch.Event{Type: watch.Added, Object: simCopy(obj)})
	}
	s.initial = append(s.initial, s.kind.bookmark(revision, true))
	s.place = s.link.api.place(s.kind, revision)
	return nil
}

const (
	// simBookmarks is the most between two bookmarks of an API server, and simLastBookmark
	// how long before the end of a watch one comes.
	simBookmarks, simLastBookmark = time.Minute, 2 * time.Second
	// simMinRequestTimeout is for how many seconds a watch lasts that does not say.
	simMinRequestTimeout = 1800
)

// run brings events until the stream is stopped or breaks.
func (s *simStream) run() {
	defer close(s.events)
	for _, event := range s.initial {
		if !s.bring(event, time.Now()) {
			return
		}
	}
	began := time.Now()
	untilBookmark := func(heartbeat time.Duration) time.Duration {
		if left := s.lasts - simLastBookmark - time.Since(began); left > 0 {
			return min(left, heartbeat)
		}
		return heartbeat
	}
	bookmark, end := time.NewTimer(untilBookmark(s.link.process.rng.upTo(simBookmarks))), time.NewTimer(s.lasts)
	defer bookmark.Stop()
	defer end.Stop()
	for {
		change, changed, _ := s.link.api.after(s.kind, s.place)
		if change != nil {
			s.place++
			if !s.bringAll(s.distort(*change)) || s.breaks() {
				return
			}
			continue
		}
		select {
		case <-changed:
		case <-s.stopped:
			return
		case <-s.served:
			return
		case <-s.blinded:
			return
		case <-end.C:
			return
		case <-bookmark.C:
			bookmark.Reset(untilBookmark(simBookmarks/2 + s.link.process.rng.upTo(simBookmarks/2)))
			if change, _, revision := s.link.api.after(s.kind, s.place); change == nil && !s.bring(s.kind.bookmark(revision, false), time.Now()) {
				return
			}
		}
	}
}

// distort returns what comes of a change: nothing, twice the same, or, after the next,
// this one.
func (s *simStream) distort(change simChange) []simChange {
	network, process := s.link.network, s.link.process
	brought := []simChange{change}
	if s.held != nil {
		brought, s.held = append(brought, *s.held), nil
	}
	switch {
	case process.calm.Load():
	case process.rng.chance(network.loses):
		return brought[1:]
	case process.rng.chance(network.doubles):
		return append(brought, change)
	case process.rng.chance(network.swaps):
		s.held = &change
		return brought[1:]
	}
	return brought
}

func (s *simStream) bringAll(changes []simChange) bool {
	for _, change := range changes {
		if !s.bring(watch.Event{Type: change.what, Object: simCopy(change.object)}, change.at) {
			return false
		}
	}
	return true
}

func (s *simStream) breaks() bool {
	return !s.link.process.calm.Load() && s.link.process.rng.chance(s.link.network.breaks)
}

// bring carries one event that happened at a time. It returns false when the stream
// was stopped.
func (s *simStream) bring(event watch.Event, at time.Time) bool {
	network, process := s.link.network, s.link.process
	due := at.Add(process.rng.upTo(network.latency) + 10*time.Microsecond)
	if !process.calm.Load() && process.rng.chance(network.lag) {
		due = due.Add(process.rng.upTo(network.slowest))
	}
	if due.Before(s.arrived) {
		due = s.arrived
	}
	s.arrived = due
	if wait := time.Until(due); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.stopped:
			return false
		}
	}
	for _, gate := range []*simGate{s.whole, s.link.whole, s.link.streams} {
		for gate.isShut() {
			select {
			case <-gate.open():
			case <-s.stopped:
				return false
			}
		}
	}
	process.breathe()
	select {
	case s.events <- event:
		return true
	case <-s.stopped:
		return false
	}
}
