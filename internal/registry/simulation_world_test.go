// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/scope"
)

const (
	simNamespace   = "system"
	simManagerName = "manager"
)

// simKey is a version of an APIKey, and what may be demanded of the answers about it.
type simKey struct {
	name string
	// owner is the name of its APIKey.
	owner  string
	digest keys.Digest
	// published: the manager gave it out.
	published atomic.Bool
	// ending: it is revoked, or its APIKey is being deleted. It is set before anybody
	// can see that.
	ending atomic.Bool
	// revoked: the manager found that nobody accepts it any more.
	revoked atomic.Bool
}

// simWorld is everything in one schedule.
type simWorld struct {
	plan   *simPlan
	api    *simAPI
	log    *simLog
	logger logr.Logger
	calm   atomic.Bool
	// users draws what users do.
	users *simRand
	ctx   context.Context
	ended sync.WaitGroup
	// incarnations counts processes; only the schedule uses it, and slots and managers.
	incarnations uint64
	slots        []*simReplica
	managers     []*simManager
	links        []*simLink

	mu sync.Mutex
	// owners are the names of the APIKeys that there ever were, keys all their versions.
	owners []string
	keys   []*simKey
	// refused are the namespaces that are not permitted any more.
	refused   map[string]bool
	violation string
	// over is closed when there is a violation.
	over  chan struct{}
	stats simStats
}

// simStats is what schedules have come across.
type simStats struct {
	requests, accepted, undecided, unknown       int
	published, revoked, fenced, suspects, joined int
	replaced, retired, undone, withdrawn         int
	applied                                      int
	repaired                                     int
	faults                                       map[string]int
}

func (s *simStats) add(other simStats) {
	s.requests += other.requests
	s.accepted += other.accepted
	s.undecided += other.undecided
	s.unknown += other.unknown
	s.published += other.published
	s.revoked += other.revoked
	s.fenced += other.fenced
	s.suspects += other.suspects
	s.joined += other.joined
	s.replaced += other.replaced
	s.retired += other.retired
	s.undone += other.undone
	s.withdrawn += other.withdrawn
	s.applied += other.applied
	s.repaired += other.repaired
	for fault, n := range other.faults {
		s.faults[fault] += n
	}
}

func newSimWorld(ctx context.Context, plan *simPlan) *simWorld {
	w := &simWorld{
		plan: plan, ctx: ctx, api: newSimAPI(), log: &simLog{began: time.Now()}, logger: logr.Discard(),
		users: newSimRand(plan.seed, 1), slots: make([]*simReplica, len(plan.replicas)), over: make(chan struct{}), refused: map[string]bool{},
		stats: simStats{faults: map[string]int{}},
	}
	w.api.committed = w.committed
	return w
}

// violate ends the schedule.
func (w *simWorld) violate(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.violation != "" {
		return
	}
	w.violation = fmt.Sprintf(format, args...)
	w.log.add("VIOLATION", "%s", w.violation)
	close(w.over)
}

func (w *simWorld) count(f func(*simStats)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.stats)
}

func (w *simWorld) allKeys() []*simKey {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.keys)
}

func (w *simWorld) key(name string) *simKey {
	for _, key := range w.allKeys() {
		if key.name == name {
			return key
		}
	}
	return nil
}

// published is called when a manager may give a key out.
func (w *simWorld) published(m *simManager, name string) {
	key := w.key(name)
	if key.published.Load() {
		return
	}
	m.say("%s is registered everywhere: it is given out", name)
	ignorant := w.countReplicas(func(r *simReplica) bool { return !r.knows(key) })
	w.count(func(s *simStats) { s.published++; s.suspects += ignorant })
	key.published.Store(true)
	w.ask(key)
}

// revoked is called when a manager reports a key as revoked. It reports whether that is
// the first time.
func (w *simWorld) revoked(m *simManager, name string) bool {
	key := w.key(name)
	if key.revoked.Load() {
		return false
	}
	m.say("%s is revoked everywhere: that is reported", name)
	ignorant := w.countReplicas(func(r *simReplica) bool { return r.knows(key) })
	w.count(func(s *simStats) { s.revoked++; s.fenced += ignorant })
	key.revoked.Store(true)
	w.ask(key)
	return true
}

// ask asks every replica about key, now and in the moments that follow.
func (w *simWorld) ask(key *simKey) {
	for _, r := range w.live() {
		w.ended.Go(func() {
			for wait := 50 * time.Microsecond; wait < 200*time.Millisecond; wait *= 4 {
				w.ended.Go(func() { r.ask(key) })
				<-time.After(wait)
			}
		})
	}
}

// live are the replicas that get requests.
func (w *simWorld) live() []*simReplica {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.slots), func(r *simReplica) bool { return r == nil || r.refuses() })
}

func (w *simWorld) countReplicas(which func(*simReplica) bool) (n int) {
	for _, r := range w.live() {
		if which(r) {
			n++
		}
	}
	return n
}

// organization is the Organization as it is.
func (w *simWorld) organization() *v1alpha1.Organization {
	org := &v1alpha1.Organization{}
	if err := w.api.get(org, client.ObjectKey{Name: "acme"}); err != nil {
		panic(err)
	}
	return org
}

// namespace is the Namespace of an APIKey as it is.
func (w *simWorld) namespace(name string) *metav1.PartialObjectMetadata {
	ns := &metav1.PartialObjectMetadata{}
	if err := w.api.get(ns, client.ObjectKey{Name: name}); err != nil {
		panic(err)
	}
	return ns
}

// scopes are those of the Organization, and so of each key.
func (w *simWorld) scopes() scope.Set { return scope.Of(w.organization().EffectiveScopes()...) }

// newProcess returns a process with a link of its own.
func (w *simWorld) newProcess(name string) (*simProcess, *simLink) {
	w.incarnations++
	process := newSimProcess(fmt.Sprintf("%s.%d", name, w.incarnations), newSimRand(w.plan.seed, 100+w.incarnations), &w.calm)
	link := &simLink{api: w.api, process: process, whole: newSimGate(), requests: newSimGate(), answers: newSimGate(), streams: newSimGate(), blind: newSimSwitch()}
	link.forever.Store(newSimGate())
	link.log = func(format string, args ...any) { w.log.add(process.name, format, args...) }
	process.rng.draw(func(rng *rand.Rand) {
		link.network = w.plan.network(rng, name == simManagerName)
		process.drift = w.plan.drift(rng, name == simManagerName)
		process.shift = time.Duration(rng.Int64N(int64(2*time.Hour))) - time.Hour
	})
	w.links = append(w.links, link)
	return process, link
}

// everyLink does something to the connection of each process that there ever was.
func (w *simWorld) everyLink(do func(*simLink)) {
	for _, link := range w.links {
		do(link)
	}
}

func (w *simWorld) startManager() {
	process, link := w.newProcess(simManagerName)
	link.deleted = func() { w.count(func(s *simStats) { s.faults["lease collected"]++ }) }
	w.log.add(process.name, "starts; clock %+.0f ppm", process.drift)
	w.managers = append(w.managers, startSimManager(w.ctx, w, process, link))
}

func (w *simWorld) crashManager(m *simManager) {
	w.log.add(m.process.name, "crashes")
	m.process.die()
	w.ended.Go(m.stop)
}

// vacate takes the replica out of a slot.
func (w *simWorld) vacate(slot int) *simReplica {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.slots[slot]
	w.slots[slot] = nil
	return r
}

// settled says what has still to happen, or "".
func (w *simWorld) settled() string {
	for _, key := range w.allKeys() {
		switch {
		case key.ending.Load() && !key.revoked.Load():
			return key.name + " is at its end and not reported as revoked"
		case !key.ending.Load() && !key.published.Load():
			return key.name + " is not given out"
		}
	}
	if unfinished := w.unfinished(); unfinished != "" {
		return unfinished
	}
	for _, r := range w.live() {
		if !r.replica.Ready() {
			return r.process.name + " is not ready"
		}
		for _, key := range w.allKeys() {
			want := Accepted
			if key.ending.Load() {
				want = Unknown
			}
			grant, got := r.replica.Authenticate(key.digest)
			switch {
			case got != want:
				return fmt.Sprintf("%s has verdict %d about %s, want %d", r.process.name, got, key.name, want)
			case got == Accepted && grant.Scopes != w.scopes():
				return fmt.Sprintf("%s gives %s the scopes %s, want %s", r.process.name, key.name, grant.Scopes, w.scopes())
			}
		}
	}
	return ""
}
