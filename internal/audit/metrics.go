// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count lines.
type metrics struct {
	lines, lost prometheus.Counter
}

// newMetrics registers the metrics, if there is a registerer. Recorders that share
// one share its metrics.
func newMetrics(registerer prometheus.Registerer) *metrics {
	m := &metrics{
		lines: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "apikey_audit_lines_total",
			Help: "Audit lines that were written.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "apikey_audit_lost_total",
			Help: "Audit lines dropped because too many waited for the writer. The next line in the trail says how many.",
		}),
	}
	if registerer != nil {
		m.lines = register(registerer, m.lines)
		m.lost = register(registerer, m.lost)
	}
	return m
}

// register returns the counter that is registered: counter, or the one before it.
func register(registerer prometheus.Registerer, counter prometheus.Counter) prometheus.Counter {
	err := registerer.Register(counter)
	if already := (prometheus.AlreadyRegisteredError{}); errors.As(err, &already) {
		if existing, ok := already.ExistingCollector.(prometheus.Counter); ok {
			return existing
		}
	}
	return counter
}
