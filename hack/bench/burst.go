// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// burstTimeout bounds what is done to all keys at once.
	burstTimeout = 5 * time.Minute
	// burstRequests is how many requests of the burst are in flight.
	burstRequests = 64
)

// burst creates count keys at once and, when all are Ready, deletes them at once.
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
	note("gone, %.0f a second", deletes)
	return []figure{
		{name: "burst_mints_per_s", value: mints},
		{name: "burst_deletes_per_s", value: deletes, least: 400},
	}, nil
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
