// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"time"

	"github.com/hexcovery/apikey-operator/hack/load"
)

// figure is a result, and what the product is held to: at least, and at most unless
// that is 0.
type figure struct {
	name        string
	value       float64
	least, most float64
}

// printFigures prints them on standard output, and returns those that are out of bounds.
func printFigures(figures []figure) (misses []error) {
	for _, f := range figures {
		fmt.Fprintf(os.Stdout, "%s=%.2f\n", f.name, f.value)
		switch {
		case f.value < f.least:
			misses = append(misses, fmt.Errorf("%s is %.2f, and should be at least %.2f", f.name, f.value, f.least))
		case f.most > 0 && f.value > f.most:
			misses = append(misses, fmt.Errorf("%s is %.2f, and should be at most %.2f", f.name, f.value, f.most))
		}
	}
	return misses
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// percentile is in milliseconds.
func percentile(l load.Latencies, p float64) float64 { return milliseconds(l.Percentile(p)) }
