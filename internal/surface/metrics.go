// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"crypto/sha256"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// The results of a reload, as labels say.
const (
	resultSuccess = "success"
	resultFailure = "failure"
)

// fileMetrics are those of a surface that follows a file.
type fileMetrics struct {
	prometheus.Collector

	reloads    *prometheus.CounterVec
	successful prometheus.Gauge
	since      prometheus.Gauge
	rules      prometheus.Gauge
	hash       prometheus.Gauge
}

func newFileMetrics() *fileMetrics {
	group := prometheus.NewRegistry()
	create := promauto.With(group)
	m := &fileMetrics{
		Collector: group,
		reloads: create.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_surface_reloads_total",
			Help: "Reloads of the surface file, by result. After a failure the previous surface stays in force.",
		}, []string{"result"}),
		successful: create.NewGauge(prometheus.GaugeOpts{
			Name: "apikey_surface_last_reload_successful",
			Help: "1 while the surface in force is that of the file, 0 while the file cannot be read or is not valid.",
		}),
		since: create.NewGauge(prometheus.GaugeOpts{
			Name: "apikey_surface_last_reload_success_timestamp_seconds",
			Help: "When the surface in force was read, in seconds since 1970.",
		}),
		rules: create.NewGauge(prometheus.GaugeOpts{
			Name: "apikey_surface_rules",
			Help: "Rules of the surface in force.",
		}),
		hash: create.NewGauge(prometheus.GaugeOpts{
			Name: "apikey_surface_hash",
			Help: "The first 48 bits of the SHA-256 of the surface in force, as a number.",
		}),
	}
	for _, result := range []string{resultSuccess, resultFailure} {
		m.reloads.WithLabelValues(result)
	}
	return m
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
