// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"
)

// targets are what the product is held to: bounds of times in milliseconds from
// above, of keys a second from below.
var targets = []struct {
	result      string
	most, least float64
}{
	{result: "apply_ready_p50_ms", most: 60},
	{result: "apply_ready_p99_ms", most: 250},
	{result: "delete_refused_p99_ms", most: 5},
	{result: "delete_done_p50_ms", most: 20},
	{result: "delete_done_p99_ms", most: 60},
	{result: "burst_deletes_per_s", least: 400},
}

// report prints the results, and to notes what explains them.
func report(output, notes io.Writer, measured results, w writes) {
	ready := collect(measured.samples, func(s sample) time.Duration { return s.ready })
	refused := collect(measured.samples, func(s sample) time.Duration { return s.refused })
	done := collect(measured.samples, func(s sample) time.Duration { return s.done })
	describe(notes, "apply_ready", ready)
	describe(notes, "delete_refused", refused)
	describe(notes, "delete_done", done)
	mint := total(notes, "mint", w.mint, len(measured.samples))
	total(notes, "revocation", w.revoke, len(measured.samples))
	fmt.Fprintf(notes, "bench: %d writes of Leases by the manager meanwhile\n", w.leases)

	values := map[string]float64{}
	put := func(name string, value float64) {
		values[name] = value
		fmt.Fprintf(output, "%s=%.2f\n", name, value)
	}
	put("apply_ready_p50_ms", ready.percentile(50))
	put("apply_ready_p99_ms", ready.percentile(99))
	put("delete_refused_p99_ms", refused.percentile(99))
	put("delete_done_p50_ms", done.percentile(50))
	put("delete_done_p99_ms", done.percentile(99))
	put("mint_writes", mint)
	put("mint_events", float64(w.events)/float64(len(measured.samples)))
	if measured.burst != (rates{}) {
		put("burst_mints_per_s", measured.burst.mints)
		put("burst_deletes_per_s", measured.burst.deletes)
		alone := collect(measured.floor.done, func(d time.Duration) time.Duration { return d })
		put("floor_delete_p50_ms", alone.percentile(50))
		put("floor_deletes_per_s", measured.floor.deletes)
	}

	for _, target := range targets {
		switch value, ok := values[target.result]; {
		case !ok:
		case target.most > 0 && value > target.most:
			fmt.Fprintf(notes, "bench: %s is %.2f, and should be at most %.0f\n", target.result, value, target.most)
		case value < target.least:
			fmt.Fprintf(notes, "bench: %s is %.2f, and should be at least %.0f\n", target.result, value, target.least)
		}
	}
}

// distribution is sorted, in milliseconds.
type distribution []float64

func collect[T any](samples []T, of func(T) time.Duration) distribution {
	var d distribution
	for _, s := range samples {
		d = append(d, float64(of(s))/float64(time.Millisecond))
	}
	slices.Sort(d)
	return d
}

// percentile is by the nearest rank: a value that was measured.
func (d distribution) percentile(p float64) float64 {
	return d[int(math.Ceil(p/100*float64(len(d))))-1]
}

func describe(notes io.Writer, name string, d distribution) {
	fmt.Fprintf(notes, "bench: %-14s min %6.2f  p50 %6.2f  p90 %6.2f  p99 %6.2f  max %6.2f ms\n",
		name, d[0], d.percentile(50), d.percentile(90), d.percentile(99), d[len(d)-1])
}

// total prints how often each kind of write was made for one key on average, and
// returns the sum.
func total(notes io.Writer, phase string, kinds map[string]int, keys int) float64 {
	keys = max(keys, 1)
	sum := 0
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(notes, "bench: %s: %5.2f %s\n", phase, float64(kinds[kind])/float64(keys), kind)
		sum += kinds[kind]
	}
	return float64(sum) / float64(keys)
}
