// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

const (
	// mostRatio is how much longer valid requests may take beside the junk.
	mostRatio = 2
	// mostGrowth is by how many bytes the last flood may need more than the first:
	// what a garbage collector leaves to chance, and not what 30,000 keys more take.
	mostGrowth = 8 << 20

	megabyte = 1 << 20
)

// report prints the results. An error says which bound does not hold.
func report(output io.Writer, r results) error {
	ratio := medianRatio(r)
	alone, flooded := slices.Concat(r.alone...), slices.Concat(r.flooded...)
	slices.Sort(alone)
	slices.Sort(flooded)
	first, last := r.flood[0], r.flood[len(r.flood)-1]
	for _, line := range []struct {
		name  string
		value float64
	}{
		{"valid_alone_p50_ms", percentile(alone, 50)},
		{"valid_alone_p99_ms", percentile(alone, 99)},
		{"valid_flooded_p50_ms", percentile(flooded, 50)},
		{"valid_flooded_p99_ms", percentile(flooded, 99)},
		{"flooded_to_alone_p99", ratio},
		{"junk_per_s", r.junkPerSecond},
		{"rss_before_mb", r.before / megabyte},
		{"rss_first_flood_mb", first / megabyte},
		{"rss_last_flood_mb", last / megabyte},
	} {
		fmt.Fprintf(output, "%s=%.2f\n", line.name, line.value)
	}
	var errs []error
	if ratio > mostRatio {
		errs = append(errs, fmt.Errorf("p99 is %.2f times as long beside the junk, and should be at most %d times", ratio, mostRatio))
	}
	if last-first > mostGrowth {
		errs = append(errs, fmt.Errorf("memory grew by %.1f MB from the first flood to the last", (last-first)/megabyte))
	}
	return errors.Join(errs...)
}

// medianRatio compares the 99th percentile of each phase of junk with that of the
// phase before it: what the machine does besides falls on both, or on few pairs.
func medianRatio(r results) float64 {
	ratios := make([]float64, len(r.alone))
	for i := range ratios {
		ratios[i] = percentile(r.flooded[i], 99) / percentile(r.alone[i], 99)
	}
	slices.Sort(ratios)
	return (ratios[(len(ratios)-1)/2] + ratios[len(ratios)/2]) / 2
}

// percentile is by the nearest rank, in milliseconds. The times are sorted.
func percentile(times []time.Duration, p float64) float64 {
	return float64(times[int(math.Ceil(p/100*float64(len(times))))-1]) / float64(time.Millisecond)
}
