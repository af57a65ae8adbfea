// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Why a connection was closed, as labels say.
const (
	reasonTotal  = "total"
	reasonClient = "client"
	reasonIdle   = "idle"
	reasonMemory = "memory"
)

// What a client did not go on with, as labels say.
const (
	directionSend    = "send"
	directionReceive = "receive"
)

// Metrics are those of all listeners of a program. Nothing that a client chooses is in
// a label.
type Metrics struct {
	prometheus.Collector

	open    *prometheus.GaugeVec
	refused *prometheus.CounterVec
	stalled *prometheus.CounterVec
}

// listenerMetrics are those of one listener.
type listenerMetrics struct {
	open                              prometheus.Gauge
	total, perClient, evicted, memory prometheus.Counter
}

// NewMetrics returns the metrics that the listeners of a program share.
func NewMetrics() *Metrics {
	group := prometheus.NewRegistry()
	create := promauto.With(group)
	m := &Metrics{
		Collector: group,
		open: create.NewGaugeVec(prometheus.GaugeOpts{
			Name: "apikey_server_connections",
			Help: "Open connections, by listener.",
		}, []string{"listener"}),
		refused: create.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_server_refused_connections_total",
			Help: "Connections closed to keep within a limit, by listener and reason.",
		}, []string{"listener", "reason"}),
		stalled: create.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_server_stalled_requests_total",
			Help: "Requests through the proxy ended because the client stopped sending or receiving, by direction.",
		}, []string{"direction"}),
	}
	for _, direction := range []string{directionSend, directionReceive} {
		m.stalled.WithLabelValues(direction)
	}
	return m
}

func (m *Metrics) listener(name string) listenerMetrics {
	return listenerMetrics{
		open:      m.open.WithLabelValues(name),
		total:     m.refused.WithLabelValues(name, reasonTotal),
		perClient: m.refused.WithLabelValues(name, reasonClient),
		evicted:   m.refused.WithLabelValues(name, reasonIdle),
		memory:    m.refused.WithLabelValues(name, reasonMemory),
	}
}
