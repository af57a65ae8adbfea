// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/hack/load"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

const (
	// burstTimeout bounds what is done to all keys at once.
	burstTimeout = 5 * time.Minute
	// burstRequests is how many requests of the burst are in flight.
	burstRequests = 64
	// floorSamples is how many deletions, one after another, the floor is measured by.
	floorSamples = 100
)

// burst creates count keys at once and, when all are Ready, deletes them at once: first
// with the product, and then as the product does, but without it. That is the floor:
// what the API server alone takes for the three writes of a deletion.
func (b *bench) burst(ctx context.Context, count int) ([]figure, error) {
	names := numbered("burst", count)
	note("%d keys at once", count)
	mints, err := b.atOnce(ctx, names, becameReady, b.create)
	if err != nil {
		return nil, fmt.Errorf("create: %w", err)
	}
	note("ready, %.0f a second; deleting all of them at once", mints)
	deletes, err := b.atOnce(ctx, names, isGone, b.delete)
	if err != nil {
		return nil, fmt.Errorf("delete: %w", err)
	}
	note("gone, %.0f a second; the same deletions without the product", deletes)
	alone, floorDeletes, err := b.floor(ctx, numbered("floor", floorSamples+count))
	if err != nil {
		return nil, fmt.Errorf("without the product: %w", err)
	}
	return []figure{
		{name: "burst_mints_per_s", value: mints},
		{name: "burst_deletes_per_s", value: deletes, least: 400},
		{name: "floor_delete_p50_ms", value: percentile(alone, 50)},
		{name: "floor_deletes_per_s", value: floorDeletes},
	}, nil
}

// floor has the product mint keys, stops it, and does what it does for a deletion itself:
// some, one after another, and then the others at once.
func (b *bench) floor(ctx context.Context, names []string) (alone load.Latencies, perSecond float64, err error) {
	if _, err := b.atOnce(ctx, names, becameReady, b.create); err != nil {
		return nil, 0, err
	}
	for _, process := range b.product.Processes() {
		if err := process.Stop(ctx); err != nil {
			return nil, 0, err
		}
	}
	config, err := b.product.ControlPlane.ServiceAccount(ctx, stack.Namespace, stack.ManagerAccount)
	if err != nil {
		return nil, 0, err
	}
	config.QPS = -1
	manager, err := client.New(config, client.Options{Scheme: b.client.Scheme()})
	if err != nil {
		return nil, 0, err
	}
	end := func(ctx context.Context, name string) error { return b.end(ctx, manager, name) }
	for _, name := range names[:floorSamples] {
		began := time.Now()
		if err := end(ctx, name); err != nil {
			return nil, 0, err
		}
		alone = append(alone, time.Since(began))
	}
	slices.Sort(alone)
	began := time.Now()
	err = each(ctx, names[floorSamples:], end)
	return alone, float64(len(names)-floorSamples) / time.Since(began).Seconds(), err
}

// end deletes an APIKey as its user and the manager do.
func (b *bench) end(ctx context.Context, manager client.Client, name string) error {
	if err := b.delete(ctx, name); err != nil {
		return err
	}
	if err := manager.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: name}}); err != nil {
		return err
	}
	return manager.Patch(ctx, newKey(name), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))
}

// atOnce does something to every key, and returns how many a second were seen as they
// are wanted, from the first request to the last such sight.
func (b *bench) atOnce(ctx context.Context, names []string, wanted sight, do func(context.Context, string) error) (perSecond float64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, burstTimeout, errors.New("it took too long"))
	defer cancel()
	began := time.Now()
	var last time.Time
	running, ctx := errgroup.WithContext(ctx)
	running.Go(func() (err error) {
		last, err = b.await(ctx, wanted, names...)
		return err
	})
	running.Go(func() error { return each(ctx, names, do) })
	err = running.Wait()
	return float64(len(names)) / last.Sub(began).Seconds(), err
}

// each does something for every name, burstRequests at a time.
func each(ctx context.Context, names []string, do func(context.Context, string) error) error {
	doing, ctx := errgroup.WithContext(ctx)
	doing.SetLimit(burstRequests)
	for _, name := range names {
		doing.Go(func() error { return do(ctx, name) })
	}
	return doing.Wait()
}

func numbered(prefix string, count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%05d", prefix, i)
	}
	return names
}
