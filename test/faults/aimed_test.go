// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/hexcovery/apikey-operator/hack/link"
)

// leaseRequests are those about Leases.
func leaseRequests(r *http.Request) bool { return strings.Contains(r.URL.Path, "/leases") }

// surveys are a manager's consistent lists of Leases.
func surveys(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/leases") && !link.Watches(r) && r.URL.Query().Get("resourceVersion") == ""
}

// caught waits until a hold has caught something; false if it has not in time.
func caught(ctx context.Context, h *link.Hold, within time.Duration) bool {
	select {
	case <-h.Caught():
		return true
	case <-time.After(within):
	case <-ctx.Done():
	}
	return false
}

// revokeSome deletes a key that is valid, if there is one. done is closed when its
// end was reported.
func (w *world) revokeSome(ctx context.Context) (done <-chan struct{}) {
	ended := make(chan struct{})
	s := w.choose(0)
	if s == nil {
		close(ended)
		return ended
	}
	w.deeds.Go(func() {
		defer close(ended)
		defer s.busy.Store(false)
		if err := w.remove(ctx, s); err != nil {
			w.ledger.Violate("for ever: %v", err)
		}
	})
	return ended
}

// stun freezes an auth server that hears of no revocation any more, and whose renewal
// is not answered. When it goes on it believes for a moment that it may try again:
// nothing but the look at the clock, at each request, tells that its time is over.
func (w *world) stun(ctx context.Context, server *machine, lasts time.Duration) error {
	// First of all: who starts it waits until it has joined, for which it needs the link.
	server.busy.Lock()
	defer server.busy.Unlock()
	lag := server.Link.HoldAnswers(link.Watches)
	defer lag.Release()
	muted := server.Link.HoldRequests(leaseRequests)
	defer muted.Release()
	w.revokeSome(ctx)
	// By then one is on its way.
	if err := wait(ctx, renewal+100*time.Millisecond); err != nil {
		return err
	}
	if err := server.freezeBusy(ctx, lasts); err != nil {
		return err
	}
	muted.Release()
	// Its watches bring nothing until its requests were answered, and a new session can
	// begin.
	return wait(ctx, 250*time.Millisecond)
}

// joinLate has another pod take an auth server's place. While it tries to write its
// Lease a key is revoked, and then it hears of nothing for a while. So it has to list
// after its Lease stands.
func (w *world) joinLate(ctx context.Context, server *machine, lasts time.Duration) error {
	server.busy.Lock()
	defer server.busy.Unlock()
	stopGracefully(ctx, server)
	server.NewPod()
	held := server.Link.HoldRequests(leaseRequests)
	defer held.Release()
	started := make(chan error, 1)
	go func() { started <- server.start(ctx) }()
	if !caught(ctx, held, staleness) {
		held.Release()
		return <-started
	}
	lag := server.Link.HoldAnswers(link.Watches)
	defer lag.Release()
	select {
	case <-w.revokeSome(ctx):
	case <-time.After(countedOut + 2*time.Second): // it waits for another fault
	}
	held.Release()
	stopped := wait(ctx, lasts)
	lag.Release()
	if err := <-started; err != nil {
		return err
	}
	return stopped
}

// listLate has the leading manager get one list of Leases late: the second that shows
// the same renewal of an auth server. That one hears of no revocation, but renews its
// Lease again while the list is on its way. To a manager that looks at its clock
// after the list, the auth server seems to have been silent all the time.
func (w *world) listLate(ctx context.Context, server *machine, lasts time.Duration) error {
	manager := w.leader(ctx, w.managers[0])
	lag := server.Link.HoldAnswers(link.Watches)
	defer lag.Release()
	w.revokeSome(ctx)
	muted := server.Link.HoldRequests(leaseRequests)
	defer muted.Release()
	// Both are called by one link, under its lock.
	var one *http.Request
	first := manager.Link.HoldAnswers(func(r *http.Request) bool {
		if one == nil && surveys(r) {
			one = r
		}
		return r == one
	})
	defer first.Release()
	if !caught(ctx, first, suspicion) {
		return nil // it does not lead any more
	}
	second := manager.Link.HoldAnswers(func(r *http.Request) bool { return r != one && surveys(r) })
	defer second.Release()
	first.Release()
	if !caught(ctx, second, suspicion) {
		return nil
	}
	// Nor does an informer tell it of the renewals that follow.
	blind := manager.Link.HoldAnswers(link.Watches)
	defer blind.Release()
	muted.Release()
	if err := wait(ctx, lasts); err != nil {
		return err
	}
	second.Release()
	// So that the manager can act on what it has read.
	return wait(ctx, suspicion/3)
}

// listStale has the API server's cache of Leases fall behind what is written, so that
// every auth server seems to be silent to who reads it, while one that has not heard of
// a revocation goes on to renew, and to serve.
func (w *world) listStale(ctx context.Context, server *machine, lasts time.Duration) error {
	lag := server.Link.HoldAnswers(link.Watches)
	defer lag.Release()
	release, err := w.stack.ControlPlane.HoldEtcdWatches()
	if err != nil {
		return err
	}
	defer release()
	w.revokeSome(ctx)
	return wait(ctx, lasts)
}

// longStaleness is the bound of the auth servers that renewLate is about.
const longStaleness = 12 * time.Second

// leaseWrites are an auth server's renewals.
func leaseWrites(r *http.Request) bool { return leaseRequests(r) && r.Method != http.MethodGet }

// renewLate has an auth server, whose bound is longStaleness, send its last renewal
// just before the bound has passed. The renewal arrives when the auth server has been
// counted out and the end of a key was reported, of which it has not heard.
func (w *world) renewLate(ctx context.Context, server *machine) error {
	lag := server.Link.HoldAnswers(link.Watches)
	defer lag.Release()
	last := server.Link.HoldRequests(leaseWrites)
	if !caught(ctx, last, longStaleness) {
		last.Release()
		return nil
	}
	refused := server.Link.Refuse(leaseWrites)
	defer refused.Release()
	// This renewal is the last one for now.
	sent := time.Now()
	last.Release()
	reported := w.revokeSome(ctx)
	if err := wait(ctx, time.Until(sent.Add(longStaleness-400*time.Millisecond))); err != nil {
		return err
	}
	held := server.Link.HoldRequests(leaseWrites)
	defer held.Release()
	refused.Release()
	select {
	case <-reported:
	case <-time.After(longStaleness / 4): // it is given up
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	held.Release()
	return wait(ctx, time.Second)
}
