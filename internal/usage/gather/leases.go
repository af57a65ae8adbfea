// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"fmt"

	coordinationv1 "k8s.io/api/coordination/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/internal/registry"
)

// follow watches Leases between two lists, until unfollow is called.
func (g *Gatherer) follow(ctx context.Context) (unfollow func(), err error) {
	if g.Leases == nil {
		return func() {}, nil
	}
	informer, err := g.Leases.GetInformer(ctx, &coordinationv1.Lease{})
	if err != nil {
		return nil, fmt.Errorf("follow leases: %w", err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    g.leaseChanged,
		UpdateFunc: func(old, lease any) { g.leaseTaken(old, lease); g.leaseChanged(lease) },
		DeleteFunc: g.leaseGone,
	})
	if err != nil {
		return nil, fmt.Errorf("follow leases: %w", err)
	}
	return func() { _ = informer.RemoveEventHandler(registration) }, nil
}

// leaseChanged wakes the Gatherer when an auth server waits for its handover.
func (g *Gatherer) leaseChanged(obj any) {
	if lease, ok := obj.(*coordinationv1.Lease); ok && registry.UsageSourceOf(lease).Final {
		g.kick()
	}
}

// leaseTaken notices a process whose Lease another one has taken, as a container does
// that was started again.
func (g *Gatherer) leaseTaken(before, after any) {
	old, ok := before.(*coordinationv1.Lease)
	lease, also := after.(*coordinationv1.Lease)
	if !ok || !also {
		return
	}
	last := registry.UsageSourceOf(old)
	if last.Process == registry.UsageSourceOf(lease).Process {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left(last)
	// A watch that was interrupted shows the two ends only.
	next := int32(0)
	if old.UID == lease.UID {
		next = ptr.Deref(old.Spec.LeaseTransitions, 0) + 1
	}
	if ptr.Deref(lease.Spec.LeaseTransitions, 0) > next {
		g.gap()
	}
}

// leaseGone notices an auth server whose Lease was deleted.
func (g *Gatherer) leaseGone(obj any) {
	if last, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
		obj = last.Obj
	}
	if lease, ok := obj.(*coordinationv1.Lease); ok {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.left(registry.UsageSourceOf(lease))
	}
}

// left records that a process has no Lease any more, even one that no list has shown.
func (g *Gatherer) left(last registry.UsageSource) {
	t := g.usageSources[last.Process]
	if t == nil {
		t = &usageSource{UsageSource: last, unseenFrom: g.listed}
		g.usageSources[last.Process] = t
	}
	t.gone = g.Clock.Now()
	g.ended(t)
}

// ended records that t is gone, or fenced.
func (g *Gatherer) ended(t *usageSource) {
	if !t.gap && !t.handedOver {
		t.gap = true
		g.gap()
	}
}

// gap records that uses may have been missed.
func (g *Gatherer) gap() {
	g.lastGap = g.Clock.Now()
	g.metrics.gaps.Inc()
}
