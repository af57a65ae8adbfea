// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	// watchInterval is how often the Leases are looked at although nobody waits. A
	// silence counts from when this process has seen it begin: without this, a
	// revocation would wait for the whole bound of a replica that died last week.
	watchInterval = 5 * time.Second
	// collectAfter is for how many of its bounds a Lease has to have run out before
	// it is deleted. Nothing waits for it; it is kept for people who look for what
	// became of a replica.
	collectAfter = 10
)

// Watchman keeps an eye on the Leases of auth servers while nobody waits for them,
// and deletes those that have run out long ago.
type Watchman struct {
	Members *Members
	// Writer deletes Leases.
	Writer client.Writer
	Clock  clock.WithTicker
}

// NeedLeaderElection reports false: a manager that watches before it leads need not
// begin to when it does.
func (w Watchman) NeedLeaderElection() bool { return false }

// Start watches until ctx is done.
func (w Watchman) Start(ctx context.Context) error {
	ticker := w.Clock.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		// At once, too: the silence of a replica that went before this process began counts
		// from the first look.
		if err := w.collect(ctx); err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Info("leases of auth servers could not be looked after", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

// collect surveys, and deletes what has run out long ago.
func (w Watchman) collect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, watchInterval)
	defer cancel()
	survey, err := w.Members.survey(ctx, w.Clock.Now())
	if err != nil {
		return err
	}
	var errs []error
	for i := range survey.members {
		member := &survey.members[i]
		if member.silence <= collectAfter*(member.bounds.staleness+margin(member.bounds.staleness)) {
			continue
		}
		// A replica that comes back finds its Lease gone or, if it is quicker, this
		// deletion fails. It has been fenced for long, and joins anew.
		err := w.Writer.Delete(ctx, member.lease, client.Preconditions{UID: &member.lease.UID, ResourceVersion: &member.lease.ResourceVersion})
		switch {
		case err == nil:
			log.FromContext(ctx).Info("deleted the lease of an auth server that has not renewed it for long", "lease", member.Name, "lastRenewed", member.LastRenewed)
		case !apierrors.IsNotFound(err) && !apierrors.IsConflict(err):
			errs = append(errs, fmt.Errorf("delete lease %s: %w", member.Name, err))
		}
	}
	return errors.Join(errs...)
}
