// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// reportSpacing is the least time between two reports: changes that come
	// closer share one.
	reportSpacing = 10 * time.Millisecond
	// retrySpacing is the time between a renewal that failed and the next try.
	retrySpacing = 200 * time.Millisecond
)

var (
	errFenced   = errors.New("could not renew the lease within the staleness bound")
	errReplaced = errors.New("the lease was taken over or deleted by somebody else")
)

// reporter keeps one session's Lease: it renews it, and says in it what the
// index has applied. At most one write is in flight.
type reporter struct {
	replica *Replica
	session *session
	writer  leaseWriter
	lease   *coordinationv1.Lease
	woken   chan struct{}
}

func newReporter(r *Replica, s *session, writer leaseWriter, lease *coordinationv1.Lease) *reporter {
	return &reporter{replica: r, session: s, writer: writer, lease: lease, woken: make(chan struct{}, 1)}
}

// wake asks for a report soon. It never blocks.
func (r *reporter) wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

// run renews until the session is over, and says why it is.
func (r *reporter) run(ctx context.Context, f *feed) error {
	clock := r.replica.config.Clock
	timer := clock.NewTimer(r.replica.config.RenewInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.woken:
		case <-timer.C():
		}
		next := r.replica.config.RenewInterval
		switch err := r.renew(ctx, f); {
		case err == nil:
		case errors.Is(err, errFenced), errors.Is(err, errReplaced):
			return err
		default:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			r.replica.config.Log.Info("renewal failed, will retry", "error", err.Error())
			next = retrySpacing
		}
		timer.Reset(next)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-clock.After(reportSpacing):
		}
	}
}

// renew writes the Lease once.
func (r *reporter) renew(ctx context.Context, f *feed) error {
	clock := r.replica.config.Clock
	sent := clock.Now()
	if r.session.fenced(sent) {
		return errFenced
	}
	// A connection that hangs must not outlast a bound.
	ctx, cancel := context.WithTimeout(ctx, max(min(r.session.bounds.staleness/4, r.session.bounds.suspect/2), time.Second))
	defer cancel()
	// What is reported is read before it is sent, so it has been applied.
	next := r.writer.renew(r.lease, f.applied(), sent)
	// The Lease's UID goes along, so a PUT cannot make a deleted Lease anew, as it
	// otherwise could.
	err := r.replica.config.Client.Update(ctx, next)
	if apierrors.IsConflict(err) {
		err = r.adopt(ctx)
	}
	switch {
	case apierrors.IsNotFound(err):
		return errReplaced
	case err != nil:
		return err
	}
	r.lease = next
	if !r.session.extend(sent, clock.Now()) {
		return errFenced
	}
	return nil
}

// adopt is called when the Lease is not as it was last seen. If the writer was
// this session, in a write whose answer was lost, it goes on from there;
// otherwise the session is over.
func (r *reporter) adopt(ctx context.Context) error {
	found := &coordinationv1.Lease{}
	if err := r.replica.config.Client.Get(ctx, client.ObjectKeyFromObject(r.lease), found); err != nil {
		return err
	}
	if !heldBy(found, r.writer.holder) {
		return errReplaced
	}
	r.lease = found
	return errors.New("the lease was written in between, repeating")
}
