// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"time"

	"github.com/hexcovery/apikey-operator/hack/link"
	"github.com/hexcovery/apikey-operator/hack/process"
)

// perform has a fault happen, and returns when it is over and what it has ended is
// there again.
func (w *world) perform(ctx context.Context, f fault) error {
	server := w.servers[f.target%len(w.servers)]
	manager := w.managers[f.target%len(w.managers)]
	switch f.kind {
	case killed:
		return server.restart(ctx, f.lasts, func() {})
	case replaced:
		return server.restart(ctx, f.lasts, server.NewPod)
	case shifted:
		return w.shiftClock(ctx, server, f)
	case rolled:
		return w.roll(ctx, server, f.lasts)
	case frozen:
		return server.freeze(ctx, f.lasts)
	case stunned:
		return w.stun(ctx, server, f.lasts)
	case cutOff:
		server.Link.Cut()
		defer server.Link.Flow()
		return wait(ctx, f.lasts)
	case unheard:
		server.Link.Stall(link.Requests)
		defer server.Link.Flow()
		return wait(ctx, f.lasts)
	case deaf:
		server.Link.Stall(link.Answers)
		defer server.Link.Flow()
		return wait(ctx, f.lasts)
	case lagging:
		defer server.Link.HoldAnswers(link.Watches).Release()
		return wait(ctx, f.lasts)
	case mute:
		defer server.Link.HoldRequests(leaseRequests).Release()
		return wait(ctx, f.lasts)
	case late:
		return w.joinLate(ctx, server, f.lasts)
	case managerDies:
		return manager.restart(ctx, f.lasts, func() {})
	case managerStops:
		return w.leader(ctx, manager).freeze(ctx, f.lasts)
	case managerCut:
		link := w.leader(ctx, manager).Link
		link.Cut()
		defer link.Flow()
		return wait(ctx, f.lasts)
	case stale:
		return w.listStale(ctx, server, f.lasts)
	case renewsLate:
		return w.renewLate(ctx, server)
	case managerWaits:
		return w.listLate(ctx, server, f.lasts)
	case poisoned:
		return w.poison(ctx, f.lasts)
	case bloated:
		return w.bloat(ctx, f.lasts)
	default:
		return w.performOnPlane(ctx, f)
	}
}

// performOnPlane is perform for what all programs share.
func (w *world) performOnPlane(ctx context.Context, f fault) error {
	w.plane.Lock()
	defer w.plane.Unlock()
	plane := w.stack.ControlPlane
	switch f.kind {
	case apiRestarts:
		return plane.RestartAPIServer(ctx)
	case etcdRestarts:
		return plane.RestartEtcd(ctx)
	case apiStops:
		if err := plane.PauseAPIServer(); err != nil {
			return err
		}
		stopped := wait(ctx, f.lasts)
		if err := plane.ResumeAPIServer(); err != nil {
			return err
		}
		return stopped
	default:
		return fmt.Errorf("nobody knows how to perform %q", f.kind)
	}
}

// shiftClock has an auth server run with another clock, and then with the right one.
func (w *world) shiftClock(ctx context.Context, server *machine, f fault) error {
	var before process.Launch
	err := server.restart(ctx, 0, func() {
		server.Change(func(l *process.Launch) {
			before = *l
			l.Path = w.shiftedServer
			l.Env = append(l.Env, shiftVariable+"="+f.shift.String())
		})
	})
	if err != nil {
		return err
	}
	if err := wait(ctx, f.lasts); err != nil {
		return err
	}
	return server.restart(ctx, 0, func() { server.Change(func(l *process.Launch) { *l = before }) })
}

// roll has an auth server end gracefully, and another pod take its place.
func (w *world) roll(ctx context.Context, server *machine, lasts time.Duration) error {
	server.busy.Lock()
	defer server.busy.Unlock()
	stopGracefully(ctx, server)
	server.NewPod()
	if err := wait(ctx, lasts); err != nil {
		return err
	}
	return server.start(ctx)
}

// stopGracefully ends a program as a kubelet does. One that cannot reach the API
// server just then leaves its Lease behind, and says so by its exit status.
func stopGracefully(ctx context.Context, m *machine) {
	ctx, cancel := context.WithTimeout(ctx, staleness)
	defer cancel()
	_ = m.Stop(ctx)
}

// leader is the manager that leads, or else the one given.
func (w *world) leader(ctx context.Context, otherwise *machine) *machine {
	for i, manager := range w.stack.Managers {
		if leads(ctx, manager) {
			return w.managers[i]
		}
	}
	return otherwise
}

// choose chooses a key that is valid, and that no user is busy with; nil if there is
// none. It is busy from then on.
func (w *world) choose(choice uint64) *subject {
	for {
		found := w.ring.valid()
		if len(found) == 0 {
			return nil
		}
		if s := found[choice%uint64(len(found))]; s.busy.CompareAndSwap(false, true) {
			return s
		}
	}
}
