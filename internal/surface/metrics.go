// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The results of a reload, as labels say.
const (
	accepted = "accepted"
	refused  = "refused"
)

// fileMetrics are those of a surface that follows a file.
type fileMetrics struct {
	reloads    *prometheus.CounterVec
	successful prometheus.Gauge
	since      prometheus.Gauge
	rules      prometheus.Gauge
	hash       prometheus.Gauge
}

func newFileMetrics(registerer prometheus.Registerer) (*fileMetrics, error) {
	m := &fileMetrics{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_surface_reloads_total",
			Help: "Times that the surface file was found to be another: accepted, or refused, so that the surface before it stayed in force.",
		}, []string{"result"}),
		successful: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "apikey_surface_last_reload_successful",
			Help: "1 while the surface in force is that of the file; 0 while the file cannot be read or is no surface.",
		}),
		since: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "apikey_surface_last_reload_success_timestamp_seconds",
			Help: "When the surface in force was read.",
		}),
		rules: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "apikey_surface_rules",
			Help: "Rules of the surface in force.",
		}),
		hash: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "apikey_surface_hash",
			Help: "The first 48 bits of the SHA-256 of the surface in force, as a number: replicas that have the same surface have the same.",
		}),
	}
	m.reloads.WithLabelValues(accepted)
	m.reloads.WithLabelValues(refused)
	if registerer == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.reloads, m.successful, m.since, m.rules, m.hash} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// took notes the surface that is in force.
func (m *fileMetrics) took(table *Table, data []byte, now time.Time) {
	m.successful.Set(1)
	m.since.Set(float64(now.UnixMilli()) / 1e3)
	m.rules.Set(float64(table.Rules()))
	var hash uint64
	sum := sha256.Sum256(data)
	for _, b := range sum[:6] { // a float64 holds 53 bits
		hash = hash<<8 | uint64(b)
	}
	m.hash.Set(float64(hash))
}
