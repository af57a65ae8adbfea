// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"golang.org/x/sync/errgroup"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

const (
	// burstTimeout bounds each half of the burst.
	burstTimeout = 5 * time.Minute
	// burstRequests is how many requests of the burst are in flight.
	burstRequests = 64
)

// rates is how many keys a second came to life, and went, all asked for at once.
type rates struct{ mints, deletes float64 }

// burst creates count keys at once and, when all are Ready, deletes them at once.
func (b *bench) burst(ctx context.Context, count int) (rates, error) {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("burst-%05d", i)
	}
	fmt.Fprintf(os.Stderr, "bench: %d keys at once\n", count)
	minting, err := b.atOnce(ctx, names, becameReady, func(ctx context.Context, key *v1alpha1.APIKey) error {
		return b.client.Create(ctx, key)
	})
	if err != nil {
		return rates{}, fmt.Errorf("create: %w", err)
	}
	fmt.Fprintf(os.Stderr, "bench: ready after %.1f s; deleting all of them at once\n", minting.Seconds())
	deleting, err := b.atOnce(ctx, names, isGone, func(ctx context.Context, key *v1alpha1.APIKey) error {
		return b.client.Delete(ctx, key)
	})
	if err != nil {
		return rates{}, fmt.Errorf("delete: %w", err)
	}
	fmt.Fprintf(os.Stderr, "bench: gone after %.1f s\n", deleting.Seconds())
	return rates{mints: float64(count) / minting.Seconds(), deletes: float64(count) / deleting.Seconds()}, nil
}

// atOnce does something to every key, and returns how long it took from the first
// request until each was seen as it is wanted.
func (b *bench) atOnce(ctx context.Context, names []string, wanted func(sighting) bool, do func(context.Context, *v1alpha1.APIKey) error) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, burstTimeout, errors.New("it took too long"))
	defer cancel()
	began := time.Now()
	requests, ctx := errgroup.WithContext(ctx)
	var last time.Time
	requests.Go(func() (err error) {
		last, err = b.watcher.awaitAll(ctx, sets.New(names...), wanted)
		return err
	})
	senders, sending := errgroup.WithContext(ctx)
	senders.SetLimit(burstRequests)
	for _, name := range names {
		senders.Go(func() error {
			return do(sending, &v1alpha1.APIKey{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
				Spec:       v1alpha1.APIKeySpec{OrganizationRef: v1alpha1.OrganizationReference{Name: organization}},
			})
		})
	}
	requests.Go(senders.Wait)
	if err := requests.Wait(); err != nil {
		return 0, err
	}
	return last.Sub(began), nil
}
