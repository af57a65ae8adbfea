// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http/httptrace"
	"slices"
	"time"

	"github.com/hexcovery/apikey-operator/hack/controlplane"
	"github.com/hexcovery/apikey-operator/hack/load"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

const (
	// keyTimeout bounds the life of one key.
	keyTimeout = 30 * time.Second
	// progressEvery is how many keys one line of progress is for.
	progressEvery = 50
)

var (
	lifecycleFlags = flag.NewFlagSet("bench lifecycle", flag.ExitOnError)

	keyCount    = lifecycleFlags.Int("n", 200, "how many keys are measured")
	warmupCount = lifecycleFlags.Int("warmup", 20, "how many keys come before, and are not measured")
	replicas    = lifecycleFlags.Int("replicas", 3, "how many auth servers there are")
	burstCount  = lifecycleFlags.Int("burst", 2000, "how many keys are then minted, and deleted, at once; 0 for none")
	dir         = lifecycleFlags.String("dir", "", "folder for data and logs, which stays; by default a temporary one")
)

// lifecycle measures the lives of keys, one after another and then many at once.
func lifecycle(ctx context.Context) error {
	if lifecycleFlags.NArg() > 0 || *keyCount < 1 || *warmupCount < 0 || *burstCount < 0 || *replicas < 1 {
		return errors.New("everything is a flag, -n and -replicas are at least 1: see -help")
	}
	options := stack.Options{ControlPlane: controlplane.Options{Dir: *dir}, AuthServers: *replicas}
	return withProduct(ctx, options, func(b *bench) error {
		lives, err := b.liveAll(ctx)
		if err != nil {
			return err
		}
		var many []figure
		if *burstCount > 0 {
			if many, err = b.burst(ctx, *burstCount); err != nil {
				return fmt.Errorf("burst: %w", err)
			}
		}
		f, err := b.newFloor(ctx)
		if err != nil {
			return fmt.Errorf("prepare the floor: %w", err)
		}
		var mints float64
		if len(many) > 0 {
			mints = many[0].value
		}
		ready, done := sorted(lives, func(l life) time.Duration { return l.ready }), sorted(lives, func(l life) time.Duration { return l.done })
		ratios, err := f.figures(ctx, ready, done, mints, *burstCount)
		if err != nil {
			return fmt.Errorf("measure the floor: %w", err)
		}
		for _, miss := range printFigures(slices.Concat(figuresOf(lives), many, ratios)) {
			note("%v", miss)
		}
		return nil
	})
}

// liveAll has keys live and die: some to warm up, and those that are measured.
func (b *bench) liveAll(ctx context.Context) (lives []life, err error) {
	note("%d keys to warm up, then %d to measure, with %d auth servers", *warmupCount, *keyCount, *replicas)
	for _, name := range numbered("warmup", *warmupCount) {
		if _, err := b.live(ctx, name); err != nil {
			return nil, err
		}
	}
	for _, name := range numbered("key", *keyCount) {
		measured, err := b.live(ctx, name)
		if err != nil {
			return nil, err
		}
		if lives = append(lives, measured); len(lives)%progressEvery == 0 {
			note("%d of %d", len(lives), *keyCount)
		}
	}
	return lives, nil
}

// life is what one key's life took.
type life struct {
	name string
	// ready is from the create call to Ready=True.
	ready time.Duration
	// refused is from the DELETE's answer until every replica refused.
	refused time.Duration
	// done is from the delete call until the APIKey was gone.
	done time.Duration
}

// live has one key live and die.
func (b *bench) live(ctx context.Context, name string) (l life, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, keyTimeout, fmt.Errorf("it took more than %s", keyTimeout))
	defer cancel()
	l.name = name
	key, ready, err := b.mint(ctx, name)
	if err == nil {
		l.ready = ready
		err = b.die(ctx, key, &l)
	}
	if err != nil {
		err = fmt.Errorf("key %s: %w", name, err)
	}
	return l, err
}

// die deletes the key while every replica is asked about it each millisecond.
func (b *bench) die(ctx context.Context, key string, l *life) error {
	probe, err := b.product.Probe(ctx, key)
	if err != nil {
		return err
	}
	defer probe.Stop()
	if err := probe.Accepted(); err != nil {
		return err
	}
	var answered time.Time
	trace := &httptrace.ClientTrace{GotFirstResponseByte: func() { answered = time.Now() }}
	deleted := time.Now()
	if err := b.delete(httptrace.WithClientTrace(ctx, trace), l.name); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if answered.IsZero() {
		return errors.New("delete: the time of its answer is not known")
	}
	gone, err := b.await(ctx, isGone, l.name)
	if err != nil {
		return fmt.Errorf("wait until it is gone: %w", err)
	}
	l.done = gone.Sub(deleted)
	refusals, err := probe.Refused()
	if err != nil {
		return err
	}
	for _, refusal := range refusals {
		l.refused = max(l.refused, refusal.At.Sub(answered))
		// Whoever sees the APIKey gone knows that the key is dead. The watch tells a
		// moment later than it is so, so this cannot be wrong by measurement.
		if refusal.LastAcceptedSent.After(gone) {
			return fmt.Errorf("a replica accepted a request that was sent %s after the APIKey was gone", refusal.LastAcceptedSent.Sub(gone))
		}
	}
	return nil
}

// figuresOf notes what explains them.
func figuresOf(lives []life) []figure {
	ready := distribution("apply_ready", lives, func(l life) time.Duration { return l.ready })
	refused := distribution("delete_refused", lives, func(l life) time.Duration { return l.refused })
	done := distribution("delete_done", lives, func(l life) time.Duration { return l.done })
	return []figure{
		{name: "apply_ready_p50_ms", value: percentile(ready, 50), most: 60},
		{name: "apply_ready_p99_ms", value: percentile(ready, 99), most: 250},
		{name: "delete_refused_p99_ms", value: percentile(refused, 99), most: 5},
		{name: "delete_done_p50_ms", value: percentile(done, 50), most: 20},
		{name: "delete_done_p99_ms", value: percentile(done, 99), most: 60},
	}
}

// distribution notes and returns a time that each key took.
func distribution(name string, lives []life, of func(life) time.Duration) load.Latencies {
	all := sorted(lives, of)
	note("%-14s min %6.2f  p50 %6.2f  p90 %6.2f  p99 %6.2f  max %6.2f ms", name,
		milliseconds(all[0]), percentile(all, 50), percentile(all, 90), percentile(all, 99), percentile(all, 100))
	return all
}

func sorted(lives []life, of func(life) time.Duration) (all load.Latencies) {
	for _, l := range lives {
		all = append(all, of(l))
	}
	slices.Sort(all)
	return all
}
