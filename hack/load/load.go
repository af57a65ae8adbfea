// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package load sends requests at a steady rate, and measures how long they take.
//
// A request is sent when it is due, whether or not earlier ones were answered, and its
// latency counts from when it was due, not from when it was sent. Whoever waits for an
// answer before the next request asks nothing of a server that stalls, and so sees one
// slow answer where as many clients would have seen a thousand: that is known as
// coordinated omission. For the same reason nothing that was due is left out at the end.
//
// It is for development: nothing of the product may import it.
package load

import (
	"context"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// Load is requests at a steady rate.
type Load struct {
	// PerSecond is how many are due a second, at least 1.
	PerSecond int

	// Lasts is for how long they are due. The first is due at once.
	Lasts time.Duration

	// AtOnce bounds how many are under way; 0 is no bound. What a request waits for
	// others because of it is part of its latency.
	AtOnce int

	// Send sends request n, which counts from 0, and returns when it is answered. It
	// is called concurrently, unless AtOnce is 1. An error ends the load.
	Send func(n int, due time.Time) error
}

// Run sends every request, and returns their latencies when all are answered. When ctx
// ends, or with the first error of Send, it sends no more, waits for what is under way,
// and returns that cause.
func (l Load) Run(ctx context.Context) (Latencies, error) {
	sending, ctx := errgroup.WithContext(ctx)
	if l.AtOnce > 0 {
		sending.SetLimit(l.AtOnce)
	}
	interval := time.Second / time.Duration(l.PerSecond)
	latencies := make(Latencies, l.Lasts/interval)
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := range latencies {
		due := began.Add(time.Duration(n) * interval)
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			_ = sending.Wait() // The cause is its error, or came before it.
			return nil, context.Cause(ctx)
		case <-timer.C:
		}
		sending.Go(func() error {
			err := l.Send(n, due)
			latencies[n] = time.Since(due)
			return err
		})
	}
	if err := sending.Wait(); err != nil {
		return nil, err
	}
	slices.Sort(latencies)
	return latencies, nil
}

// Latencies are in ascending order.
type Latencies []time.Duration

// Percentile is by the nearest rank: a latency that was measured. There has to be one,
// and p to be more than 0 and at most 100.
func (l Latencies) Percentile(p float64) time.Duration {
	return l[int(math.Ceil(p/100*float64(len(l))))-1]
}
