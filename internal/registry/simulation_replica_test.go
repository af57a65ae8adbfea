// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// simReplica is one process of an auth server.
type simReplica struct {
	world   *simWorld
	process *simProcess
	link    *simLink
	lease   string
	replica *Replica
	cancel  context.CancelFunc
	// ran is closed when Run has returned.
	ran chan struct{}

	mu sync.Mutex
	// stopping: no more requests come. asked are those that are being answered.
	stopping bool
	asked    sync.WaitGroup
}

// startReplica starts a replica in a slot, with this Lease.
func (w *simWorld) startReplica(slot int, leaseName string) {
	process, link := w.newProcess(fmt.Sprintf("replica%d", slot))
	bounds := w.plan.replicas[slot]
	replica, err := NewReplica(ReplicaConfig{
		Client: link, Namespace: simNamespace, LeaseName: leaseName, Clock: &simClock{process: process}, Log: w.replicaLog(process),
		MaxStaleness: bounds.staleness, SuspectAfter: bounds.suspect, RenewInterval: bounds.renew, CompareInterval: bounds.compare,
	})
	if err != nil {
		panic(err)
	}
	r := &simReplica{world: w, process: process, link: link, lease: leaseName, replica: replica, ran: make(chan struct{})}
	ctx, cancel := context.WithCancel(w.ctx)
	r.cancel = cancel
	w.log.add(process.name, "starts with lease %s; clock %+.0f ppm", leaseName, process.drift)
	w.ended.Go(func() {
		defer close(r.ran)
		_ = replica.Run(ctx)
	})
	w.ended.Go(func() { r.keepAsking(ctx) })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slots[slot] = r
}

// replicaLog notes what a replica says.
func (w *simWorld) replicaLog(process *simProcess) logr.Logger {
	return logr.New(&simSink{world: w, process: process})
}

// crash kills a replica. What it has sent may still arrive.
func (r *simReplica) crash() {
	r.world.log.add(r.process.name, "crashes")
	r.refuse()
	r.process.die()
	r.cancel()
}

// leave stops a replica gracefully.
func (r *simReplica) leave() {
	r.world.log.add(r.process.name, "leaves")
	r.refuse()
	r.world.ended.Go(func() {
		r.asked.Wait()
		r.cancel()
		<-r.ran
		ctx, cancel := context.WithTimeout(r.world.ctx, 10*time.Second)
		defer cancel()
		err := r.replica.Leave(ctx)
		r.world.log.add(r.process.name, "has left: %v", err)
		r.process.die()
	})
}

// knows reports whether the index that requests are judged by has key.
func (r *simReplica) knows(key *simKey) bool {
	s := r.replica.current.Load()
	return s != nil && s.index.lookup(key.digest) != nil
}

// keepAsking asks about every key, all the time. While the process is paused each
// request is one of its own, which began before or after what happens meanwhile.
func (r *simReplica) keepAsking(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(r.world.plan.asks/4 + r.process.rng.upTo(r.world.plan.asks)):
		}
		for _, key := range r.world.allKeys() {
			if r.process.paused.isShut() {
				r.world.ended.Go(func() { r.ask(key) })
			} else {
				r.ask(key)
			}
		}
	}
}

// takes reports whether a request can begin, which is then one that is asked.
func (r *simReplica) takes() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stopping {
		r.asked.Add(1)
	}
	return !r.stopping
}

func (r *simReplica) refuses() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopping
}

// refuse has no more requests come.
func (r *simReplica) refuse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopping = true
}

// ask asks about one key, and judges the answer.
func (r *simReplica) ask(key *simKey) {
	if !r.takes() {
		return
	}
	defer r.asked.Done()
	revoked, published := key.revoked.Load(), key.published.Load()
	_, verdict := r.replica.Authenticate(key.digest)
	if r.process.dead.Load() {
		return
	}
	switch {
	case r.world.plan.unfaithful:
		// The guarantee rests on the contract of the watch.
	case revoked && verdict == Accepted:
		r.world.violate("%s accepts %s in a request that began after its revocation was reported", r.process.name, key.name)
	case published && verdict == Unknown && !key.ending.Load():
		r.world.violate("%s calls %s unknown, which was given out and is valid", r.process.name, key.name)
	}
	r.world.count(func(s *simStats) {
		s.requests++
		switch verdict {
		case Accepted:
			s.accepted++
		case Unknown:
			s.unknown++
		default:
			s.undecided++
		}
	})
}

// simSink notes what a replica logs.
type simSink struct {
	world   *simWorld
	process *simProcess
}

func (s *simSink) Init(logr.RuntimeInfo)          {}
func (s *simSink) Enabled(level int) bool         { return level == 0 }
func (s *simSink) WithValues(...any) logr.LogSink { return s }
func (s *simSink) WithName(string) logr.LogSink   { return s }

func (s *simSink) Info(_ int, message string, keysAndValues ...any) {
	if message == "serving" {
		s.world.count(func(stats *simStats) { stats.joined++ })
	}
	s.world.log.add(s.process.name, "%s %v", message, keysAndValues)
}

func (s *simSink) Error(err error, message string, keysAndValues ...any) {
	if strings.HasPrefix(message, "repaired the index") {
		s.world.count(func(stats *simStats) { stats.repaired++ })
	}
	s.world.log.add(s.process.name, "%s: %v %v", message, err, keysAndValues)
}
