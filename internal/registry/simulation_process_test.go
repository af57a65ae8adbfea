// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// simGate is open or shut; who comes to it while it is shut waits.
type simGate struct {
	mu sync.Mutex
	// opened is closed while the gate is open.
	opened chan struct{}
	shut   bool
}

func newSimGate() *simGate {
	opened := make(chan struct{})
	close(opened)
	return &simGate{opened: opened}
}

func (g *simGate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case shut && !g.shut:
		g.opened = make(chan struct{})
	case !shut && g.shut:
		close(g.opened)
	}
	g.shut = shut
}

func (g *simGate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut
}

// open returns a channel that is closed when the gate is, or will have been, open.
func (g *simGate) open() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened
}

// simSwitch is on or off; who is interested hears when it goes on.
type simSwitch struct {
	mu sync.Mutex
	on chan struct{}
}

func newSimSwitch() *simSwitch { return &simSwitch{on: make(chan struct{})} }

func (s *simSwitch) set(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case on && !s.closed():
		close(s.on)
	case !on && s.closed():
		s.on = make(chan struct{})
	}
}

func (s *simSwitch) closed() bool {
	select {
	case <-s.on:
		return true
	default:
		return false
	}
}

func (s *simSwitch) isOn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed()
}

// goesOn returns a channel that is closed when the switch is on.
func (s *simSwitch) goesOn() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.on
}

// simRand is a source of randomness for what happens to one process, so that what
// happens to one does not depend on how often another one draws.
type simRand struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newSimRand(seed, stream uint64) *simRand {
	return &simRand{rng: rand.New(rand.NewPCG(seed, stream))}
}

func (r *simRand) draw(f func(*rand.Rand)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.rng)
}

func (r *simRand) chance(probability float64) (yes bool) {
	if probability == 0 {
		return false
	}
	r.draw(func(rng *rand.Rand) { yes = rng.Float64() < probability })
	return yes
}

// upTo returns a duration below most.
func (r *simRand) upTo(most time.Duration) (d time.Duration) {
	if most <= 0 {
		return 0
	}
	r.draw(func(rng *rand.Rand) { d = time.Duration(rng.Int64N(int64(most))) })
	return d
}

// simProcess is a process that may be paused, may die, and has a clock of its own.
//
// Its goroutines cannot be stopped from outside. But all they do to others goes
// through requests, and all they know of time comes from the clock. So while the
// process is paused, each request, each answer, each event and each look at the
// clock waits. That is as good as a pause right before.
type simProcess struct {
	name   string
	rng    *simRand
	paused *simGate
	dead   atomic.Bool
	// died is closed when the process is dead.
	died chan struct{}
	// drift of its clock in parts per million, and its constant error.
	drift float64
	shift time.Duration
	began time.Time
	// calm: no more faults.
	calm *atomic.Bool
}

func newSimProcess(name string, rng *simRand, calm *atomic.Bool) *simProcess {
	return &simProcess{name: name, rng: rng, paused: newSimGate(), died: make(chan struct{}), began: time.Now(), calm: calm}
}

func (p *simProcess) die() {
	p.dead.Store(true)
	close(p.died)
}

// breathe waits while the process is paused. Its goroutines do not all go on at
// the same instant.
func (p *simProcess) breathe() {
	for p.paused.isShut() && !p.dead.Load() {
		select {
		case <-p.paused.open():
		case <-p.died:
			return
		}
		late := p.rng.upTo(2 * time.Millisecond)
		switch {
		case p.rng.chance(0.6):
		case p.rng.chance(0.7):
			late = p.rng.upTo(300 * time.Millisecond)
		default:
			late = p.rng.upTo(3 * time.Second)
		}
		select {
		case <-time.After(late):
		case <-p.died:
		}
	}
}

// now is what the process' clock shows.
func (p *simProcess) now() time.Time {
	now := time.Now()
	return now.Add(p.shift + time.Duration(float64(now.Sub(p.began))*p.drift/1e6))
}

// simClock is the clock of a process. Timers are those of the bubble: what a timer
// starts looks at the clock or sends a request before it does anything to others.
type simClock struct {
	clock.RealClock
	process *simProcess
	// pauseless: nobody who reads it is paused by that.
	pauseless bool
}

var _ clock.WithTicker = (*simClock)(nil)

func (c *simClock) Now() time.Time {
	if !c.pauseless && c.process.paused.isShut() && !calledWithLock() {
		c.process.breathe()
	}
	return c.process.now()
}

func (c *simClock) Since(t time.Time) time.Duration { return c.process.now().Sub(t) }

// calledWithLock reports whether who reads the clock holds a mutex meanwhile. In a
// bubble time stands still as long as a goroutine waits for a mutex, so nobody may
// be paused who holds one. progress is told of events, and those wait.
func calledWithLock() bool {
	callers := make([]uintptr, 1)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	frame, _ := frames.Next()
	return strings.Contains(frame.Function, "(*progress)")
}
