// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// deletions notes what is deleted, and under which condition.
type deletions struct {
	client.Writer
	names []string
}

func (d *deletions) Delete(_ context.Context, obj client.Object, options ...client.DeleteOption) error {
	given := (&client.DeleteOptions{}).ApplyOptions(options)
	name := obj.GetName()
	if p := given.Preconditions; p == nil || *p.UID != obj.GetUID() || *p.ResourceVersion != obj.GetResourceVersion() {
		name += " without condition"
	}
	d.names = append(d.names, name)
	return nil
}

func TestLeasesThatRanOutLongAgoAreDeleted(t *testing.T) {
	clock := testclock.NewFakeClock(epoch)
	unreadable := func(l *coordinationv1.Lease) { l.Spec.LeaseDurationSeconds = nil }
	lists := &leaseLists{leases: []coordinationv1.Lease{
		leaseAt("alive", "1", "100"), leaseAt("dead", "2", "100"), leaseAt("without bound", "3", "100", unreadable),
	}}
	writer := &deletions{}
	collector := LeaseCollector{Members: NewMembers(lists, "system", clock), Writer: writer, Clock: clock}
	collect := func(at time.Duration, want ...string) {
		t.Helper()
		clock.SetTime(epoch.Add(at))
		// It goes on renewing.
		lists.leases[0].ResourceVersion += "0"
		if err := collector.collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(writer.names, want) {
			t.Errorf("after %s, deleted %v, want %v", at, writer.names, want)
		}
	}
	bound := leaseBounds(&lists.leases[1]).staleness
	longAgo := collectAfter * (bound + margin(bound))
	collect(0)
	collect(longAgo / 2)
	collect(longAgo)
	collect(longAgo+collectAfter, "dead")
}

func TestLeasesAreLookedAtWhenTheManagerStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lists := &leaseLists{leases: []coordinationv1.Lease{leaseAt("silent", "1", "100")}}
		members := NewMembers(lists, "system", clock.RealClock{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_ = LeaseCollector{Members: members, Writer: &deletions{}, Clock: clock.RealClock{}}.Start(ctx)
		}()
		synctest.Wait()
		if len(lists.asked) != 1 || len(members.seen) != 1 {
			t.Errorf("%d lists, %d leases seen: a silence begins to count later than it could", len(lists.asked), len(members.seen))
		}
		cancel()
	})
}
