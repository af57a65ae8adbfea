// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are those of all listeners of a program. Nothing that a client chooses is in
// a label.
type Metrics struct {
	open    *prometheus.GaugeVec
	refused *prometheus.CounterVec
	stalled *prometheus.CounterVec
}

// listenerMetrics are those of one listener.
type listenerMetrics struct {
	open                              prometheus.Gauge
	total, perClient, evicted, memory prometheus.Counter
}

// NewMetrics registers them, or returns those that are registered.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "apikey_server_connections",
			Help: "Open connections, by listener.",
		}, []string{"listener"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_server_connections_refused_total",
			Help: "Connections that were closed because a listener had too many, or they held too much, by listener and reason: total, client (too many of one address), idle (closed to make room for another), memory (held most, for the longest, of what unanswered requests may take).",
		}, []string{"listener", "reason"}),
		stalled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_server_requests_stalled_total",
			Help: "Requests through the proxy that were ended because the client made no progress, by what it did not do: send (the body), receive (the response).",
		}, []string{"direction"}),
	}
	var errs [3]error
	m.open, errs[0] = register(registerer, m.open)
	m.refused, errs[1] = register(registerer, m.refused)
	m.stalled, errs[2] = register(registerer, m.stalled)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return m, nil
}

// register returns the collector of that name: a program has several servers.
func register[C prometheus.Collector](registerer prometheus.Registerer, c C) (C, error) {
	err := registerer.Register(c)
	if before, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := before.ExistingCollector.(C); ok {
			return same, nil
		}
	}
	return c, err
}

func (m *Metrics) listener(name string) listenerMetrics {
	return listenerMetrics{
		open:      m.open.WithLabelValues(name),
		total:     m.refused.WithLabelValues(name, "total"),
		perClient: m.refused.WithLabelValues(name, "client"),
		evicted:   m.refused.WithLabelValues(name, "idle"),
		memory:    m.refused.WithLabelValues(name, "memory"),
	}
}
