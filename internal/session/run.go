// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// refreshInterval is how often keys are fetched if nobody asks for one that is
	// not known: a key that the issuer has withdrawn is believed no longer.
	refreshInterval = 5 * time.Minute
	// fetchInterval is how often at most, whatever clients ask for.
	fetchInterval = 5 * time.Second
	// defaultFetchTimeout is how long an attempt may take.
	defaultFetchTimeout = 5 * time.Second
)

// retries are the pauses after attempts that have failed. Replicas that lost their
// issuer together should not come back together, hence the jitter.
func retries() wait.Backoff {
	return wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.2, Steps: 8, Cap: 30 * time.Second}
}

// Run fetches the issuer's keys until ctx is done, and again whenever it is time. It
// does so alone: a single goroutine cannot ask twice at a time. An issuer that cannot
// be reached is no error; it is asked again.
func (v *Verifier) Run(ctx context.Context) error {
	defer v.client.CloseIdleConnections()
	backoff := retries()
	for {
		began := v.clock.Now()
		pause := refreshInterval
		if v.attempt(ctx, began) {
			backoff = retries()
		} else {
			pause = backoff.Step()
		}
		if !v.idle(ctx, pause, fetchInterval-v.clock.Since(began)) {
			return nil
		}
	}
}

// attempt fetches the keys once, wakes whoever waits, and reports whether it succeeded.
func (v *Verifier) attempt(ctx context.Context, began time.Time) bool {
	// Who has asked up to here is served by what follows.
	select {
	case <-v.wanted:
	default:
	}
	number := v.begun.Add(1)
	keys, err := v.fetch(ctx)
	last := v.keys.Load()
	now := &knowledge{
		keys: last.keys, asOf: last.asOf, attempt: last.attempt,
		failed: err != nil, earliest: began.Add(fetchInterval), next: make(chan struct{}),
	}
	if err == nil {
		now.keys, now.asOf, now.attempt = keys, began, number
	}
	if ctx.Err() == nil {
		v.metrics.fetched(err)
		v.reports.fetched(len(keys), err)
	}
	v.keys.Store(now)
	close(last.next)
	return err == nil
}

// idle waits for the pause to pass, or, after the shorter one, for somebody who wants
// a key. It reports false if ctx is done.
func (v *Verifier) idle(ctx context.Context, pause, shorter time.Duration) bool {
	long := v.clock.NewTimer(pause)
	defer long.Stop()
	wanted, allowed := v.wanted, (<-chan time.Time)(nil)
	if shorter > 0 {
		short := v.clock.NewTimer(shorter)
		defer short.Stop()
		wanted, allowed = nil, short.C() // until then nobody is heard
	}
	for {
		select {
		case <-ctx.Done():
			return false
		case <-long.C():
			return true
		case <-allowed:
			wanted = v.wanted
		case <-wanted:
			return true
		}
	}
}
