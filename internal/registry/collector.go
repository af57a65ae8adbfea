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
	// collectInterval is how often the Leases are listed when nothing waits for them. A
	// Lease's silence counts from when this process has seen it begin: without this, a
	// revocation would wait the whole bound for a replica that died last week.
	collectInterval = 5 * time.Second
	// collectAfter is after how many of its bounds an expired Lease is deleted. Nothing
	// waits for it; it is kept for people who debug a replica.
	collectAfter = 10
)

// LeaseCollector is the garbage collector of auth servers' Leases. It observes them while
// nothing waits for them, and deletes those that expired long ago.
type LeaseCollector struct {
	Members *Members
	// Writer deletes Leases.
	Writer client.Writer
	Clock  clock.WithTicker
}

// NeedLeaderElection reports false: a manager that observes silences before it leads
// knows them when it does.
func (c LeaseCollector) NeedLeaderElection() bool { return false }

// Start collects until ctx is done.
func (c LeaseCollector) Start(ctx context.Context) error {
	ticker := c.Clock.NewTicker(collectInterval)
	defer ticker.Stop()
	for {
		// At once, too: a silence that is older than this process counts from the first list.
		if err := c.collect(ctx); err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Info("could not collect the leases of auth servers", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

// collect takes a snapshot, and deletes the Leases that expired long ago.
func (c LeaseCollector) collect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, collectInterval)
	defer cancel()
	snapshot, err := c.Members.snapshot(ctx, c.Clock.Now())
	if err != nil {
		return err
	}
	var errs []error
	for i := range snapshot.members {
		member := &snapshot.members[i]
		if member.silence <= collectAfter*(member.bounds.staleness+margin(member.bounds.staleness)) {
			continue
		}
		// A replica that comes back finds its Lease gone or, if it is quicker, this
		// deletion fails. It has been fenced for long, and joins anew.
		err := c.Writer.Delete(ctx, member.lease, client.Preconditions{UID: &member.lease.UID, ResourceVersion: &member.lease.ResourceVersion})
		switch {
		case err == nil:
			log.FromContext(ctx).Info("deleted an expired lease", "lease", member.Name, "lastRenewed", member.LastRenewed)
		case !apierrors.IsNotFound(err) && !apierrors.IsConflict(err):
			errs = append(errs, fmt.Errorf("delete lease %s: %w", member.Name, err))
		}
	}
	return errors.Join(errs...)
}
