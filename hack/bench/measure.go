// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

const (
	// namespace and organization are those of every key here.
	namespace    = "bench"
	organization = "bench"
	// keyTimeout bounds the life of one key.
	keyTimeout = 30 * time.Second
	// settleTimeout bounds the wait for the last Events.
	settleTimeout = 10 * time.Second
	// progressEvery is how many keys one line of progress is for.
	progressEvery = 50
)

// measure has keys live and die: some to warm up, those that are measured, and one
// more that shows, by its Event, that those of the others have been written; then, if
// it is asked for, many at once.
func measure(ctx context.Context, product *stack.Stack, opts options) (measured results, err error) {
	bench, err := prepare(ctx, product)
	if err != nil {
		return results{}, err
	}
	defer bench.watcher.stop()
	if measured.samples, err = bench.liveAll(ctx, opts); err != nil || opts.burst == 0 {
		return measured, err
	}
	if measured.burst, err = bench.burst(ctx, opts.burst); err != nil {
		return measured, fmt.Errorf("burst: %w", err)
	}
	if measured.floor, err = bench.measureFloor(ctx, opts.burst); err != nil {
		return measured, fmt.Errorf("floor: %w", err)
	}
	return measured, nil
}

// results are what was measured; without a burst, of single keys only.
type results struct {
	samples []sample
	burst   rates
	floor   floor
}

// liveAll has one key after another live and die.
func (b *bench) liveAll(ctx context.Context, opts options) ([]sample, error) {
	defer startLoad().report(os.Stderr)
	fmt.Fprintf(os.Stderr, "bench: %d keys to warm up, then %d to measure, with %d auth servers\n", opts.warmup, opts.keys, opts.replicas)
	var samples []sample
	for i := range opts.warmup + opts.keys {
		measured := i >= opts.warmup
		name := fmt.Sprintf("warmup-%04d", i)
		if measured {
			name = fmt.Sprintf("key-%04d", i-opts.warmup)
		}
		s, err := b.live(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", name, err)
		}
		if !measured {
			continue
		}
		samples = append(samples, s)
		if len(samples)%progressEvery == 0 {
			fmt.Fprintf(os.Stderr, "bench: %d of %d\n", len(samples), opts.keys)
		}
	}
	return samples, b.settle(ctx)
}

// bench is what every key's life needs.
type bench struct {
	product *stack.Stack
	client  client.WithWatch
	watcher *watcher
}

func prepare(ctx context.Context, product *stack.Stack) (*bench, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(product.ControlPlane.Admin(), client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&v1alpha1.Organization{
			ObjectMeta: metav1.ObjectMeta{Name: organization},
			Spec:       v1alpha1.OrganizationSpec{Namespaces: v1alpha1.NamespacePolicy{Names: []string{namespace}}},
		},
	}
	for _, object := range objects {
		if err := c.Create(ctx, object); err != nil {
			return nil, fmt.Errorf("prepare: %w", err)
		}
	}
	w, err := newWatcher(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	return &bench{product: product, client: c, watcher: w}, nil
}

// settle waits until the manager has written what it still had to write about the
// measured keys. Events are written in the background, in their order; that of
// another key comes after theirs.
func (b *bench) settle(ctx context.Context) error {
	const last = "last"
	if _, err := b.live(ctx, last); err != nil {
		return fmt.Errorf("key %s: %w", last, err)
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		events, err := b.product.ControlPlane.AuditEvents()
		if err != nil {
			return err
		}
		for i := range events {
			if written := &events[i]; isEvent(written) && byManager(written) && keyOfEvent(written) == last {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			fmt.Fprintf(os.Stderr, "bench: no Event of the manager's was seen in %s; their number may be too low\n", settleTimeout)
			return nil
		case <-ticker.C:
		}
	}
}
