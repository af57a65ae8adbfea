// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// reportSpacing is the least time between two reports: changes that come
	// closer share one.
	reportSpacing = 10 * time.Millisecond
	// maxReportSpacing is what the spacing grows to while changes come all the time: a
	// report costs the API server as much as a change.
	maxReportSpacing = 80 * time.Millisecond
	// retrySpacing is the time between a renewal that failed and the next try.
	retrySpacing = 200 * time.Millisecond
)

var (
	errFenced   = errors.New("could not renew the lease within the staleness bound")
	errNoEvents = errors.New("no event or bookmark from a watch within the quiet bound")
	errNoWatch  = errors.New("could not watch within the staleness bound")
	errReplaced = errors.New("another process took over or deleted the lease")
)

// leastQuiet is for how long at least a watch that is connected may bring nothing: API
// servers send a bookmark about each minute (KEP-956), so by then some have been lost,
// and changes with them, perhaps.
const leastQuiet = 150 * time.Second

// quietBound is for how long a watch that is connected may bring nothing while the Lease
// is renewed. It is the bound of staleness, so that there is one: after it nothing is
// accepted, be it the Lease or the watch that is dead. Without it, a watch that is dead
// while the Lease lives would keep revocations waiting.
func quietBound(staleness time.Duration) time.Duration { return max(staleness, leastQuiet) }

// undecidedAfter is how long a watch may fail until, from the next renewal on, no key is
// called unknown, and the Lease says so. With the default RenewInterval, a third of
// suspect-after, that is before suspect-after is over.
func undecidedAfter(suspect time.Duration) time.Duration { return suspect / 2 }

// reporter keeps one session's Lease: it renews it, and says in it what the
// index has applied. At most one write is in flight.
type reporter struct {
	replica *Replica
	session *session
	writer  leaseWriter
	lease   *coordinationv1.Lease
	woken   chan struct{}
	// present is what stood at presentAt, after a silence: the index has to have
	// applied it before the session can be trusted again.
	present   report
	presentAt time.Time
	// undecided is why the feed fails, as the Lease says, or may say; "" if it does not
	// fail. decidedAt is when the Lease was known to say so again.
	undecided string
	decidedAt time.Time
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

// busy reports whether another report is asked for already.
func (r *reporter) busy() bool { return len(r.woken) > 0 }

// run renews until the session is over, and says why it is.
func (r *reporter) run(ctx context.Context, f *feed) error {
	clock := r.replica.config.Clock
	timer := clock.NewTimer(r.replica.config.RenewInterval)
	defer timer.Stop()
	spacing := reportSpacing
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.woken:
		case <-timer.C():
		}
		next := r.replica.config.RenewInterval
		switch err := r.report(ctx, f); {
		case err == nil:
		case errors.Is(err, errFenced), errors.Is(err, errReplaced), errors.Is(err, errNoEvents), errors.Is(err, errNoWatch):
			return err
		default:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			r.replica.config.Log.Info("lease renewal failed, retrying", "error", err.Error())
			next = retrySpacing
		}
		timer.Reset(next)
		if r.busy() {
			spacing = min(2*spacing, maxReportSpacing)
		} else {
			spacing = reportSpacing
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-clock.After(spacing):
		}
	}
}

// report renews the Lease, and sees to what follows from a renewal.
func (r *reporter) report(ctx context.Context, f *feed) error {
	if err := r.renew(ctx, f); err != nil {
		return err
	}
	if r.quiet(f) > quietBound(r.session.bounds.staleness) {
		return errNoEvents
	}
	if failing, cause := f.failure(); failing >= r.session.bounds.staleness {
		return fmt.Errorf("%w: %s", errNoWatch, cause)
	}
	if r.undecided == "" && r.session.doubtful() {
		return r.resolve(ctx, f)
	}
	return nil
}

// judgeFeed returns why the feed fails, for the Lease, and has the session call no key
// unknown before the Lease says so: from then on no new key waits for it.
func (r *reporter) judgeFeed(f *feed) string {
	failing, cause := f.failure()
	if failing < undecidedAfter(r.session.bounds.suspect) {
		return ""
	}
	r.session.doubt()
	if r.undecided == "" {
		r.replica.config.Log.Error(nil, "cannot watch; accepting known keys, answering 503 to others", "cause", cause, "for", failing.String())
		r.undecided = cause
	}
	return r.undecided
}

// quiet is for how long a watch has brought nothing although it could have: in an
// outage nothing comes, and the bound of staleness alone says for how long that is
// good enough.
func (r *reporter) quiet(f *feed) time.Duration {
	since := f.heardAt()
	if r.session.doubtedAt.After(since) {
		since = r.session.doubtedAt
	}
	return r.replica.config.Clock.Since(since)
}

// resolve trusts the session again when its index has what stood after the silence
// ended. Who registers a key from then on waits for this replica; who did so before
// did it before the lists that are made here.
func (r *reporter) resolve(ctx context.Context, f *feed) error {
	if !r.presentAt.After(r.session.doubtedAt) || !r.presentAt.After(r.decidedAt) {
		at := r.replica.config.Clock.Now()
		present, err := r.replica.present(ctx)
		if err != nil {
			return err
		}
		r.present, r.presentAt = present, at
	}
	if f.caughtUp(ctx, r.replica.config.Client, r.present) {
		r.session.trust()
	}
	return nil
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
	report := f.applied()
	report.undecided = r.judgeFeed(f)
	next := r.writer.renew(r.lease, report, sent)
	if ctx.Err() != nil {
		// The feed ends the session before it goes on from what could not be applied.
		return context.Cause(ctx)
	}
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
	case next.ResourceVersion == r.lease.ResourceVersion:
		// A write that changes nothing is none, and nobody has seen it.
		return errors.New("the update did not change the lease")
	}
	r.lease = next
	answered := clock.Now()
	if r.undecided != "" && report.undecided == "" {
		// Who gave a key out without this replica did so before this was written.
		r.undecided, r.decidedAt = "", answered
	}
	if !r.session.extend(sent, answered) {
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
	return errors.New("the lease has changed, retrying")
}
