// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	prometheus.Collector

	lines, lost prometheus.Counter
}

func newMetrics() *metrics {
	group := prometheus.NewRegistry()
	create := promauto.With(group)
	return &metrics{
		Collector: group,
		lines: create.NewCounter(prometheus.CounterOpts{
			Name: "apikey_audit_lines_total",
			Help: "Audit lines written.",
		}),
		lost: create.NewCounter(prometheus.CounterOpts{
			Name: "apikey_audit_lost_lines_total",
			Help: "Audit lines dropped because too many waited for the writer. The next line in the trail says how many.",
		}),
	}
}
