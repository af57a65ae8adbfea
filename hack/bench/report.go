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

// targets are what the product is held to, in milliseconds.
var targets = []struct {
	result string
	most   float64
}{
	{"apply_ready_p50_ms", 60},
	{"apply_ready_p99_ms", 250},
	{"delete_refused_p99_ms", 10},
	{"delete_done_p50_ms", 30},
}

// report prints the results, and to notes what explains them.
func report(results, notes io.Writer, samples []sample, w writes, burst rates) {
	ready := collect(samples, func(s sample) time.Duration { return s.ready })
	refused := collect(samples, func(s sample) time.Duration { return s.refused })
	done := collect(samples, func(s sample) time.Duration { return s.done })
	describe(notes, "apply_ready", ready)
	describe(notes, "delete_refused", refused)
	describe(notes, "delete_done", done)
	mint := total(notes, "mint", w.mint, len(samples))
	total(notes, "revocation", w.revoke, len(samples))
	fmt.Fprintf(notes, "bench: %d writes of Leases by the manager meanwhile\n", w.leases)

	values := map[string]float64{}
	put := func(name string, value float64) {
		values[name] = value
		fmt.Fprintf(results, "%s=%.2f\n", name, value)
	}
	put("apply_ready_p50_ms", ready.percentile(50))
	put("apply_ready_p99_ms", ready.percentile(99))
	put("delete_refused_p99_ms", refused.percentile(99))
	put("delete_done_p50_ms", done.percentile(50))
	put("delete_done_p99_ms", done.percentile(99))
	put("mint_writes", mint)
	put("mint_events", float64(w.events)/float64(len(samples)))
	if burst != (rates{}) {
		put("burst_mints_per_s", burst.mints)
		put("burst_deletes_per_s", burst.deletes)
	}

	for _, target := range targets {
		if value := values[target.result]; value > target.most {
			fmt.Fprintf(notes, "bench: %s is %.2f, and should be at most %.0f\n", target.result, value, target.most)
		}
	}
}

// distribution is sorted, in milliseconds.
type distribution []float64

func collect(samples []sample, of func(sample) time.Duration) distribution {
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
