// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

func newMetrics(s *Server) prometheus.Collector {
	group := prometheus.NewRegistry()
	create := promauto.With(group)
	create.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "apikey_usage_counted_versions",
		Help: "Key versions with a counter, those that are gone and not gathered yet included.",
	}, func() float64 { return float64(s.config.Table.Size()) })
	create.NewCounterFunc(prometheus.CounterOpts{
		Name: "apikey_usage_lost_requests_total",
		Help: "Requests that were counted and never gathered by a manager.",
	}, func() float64 { return float64(s.config.Table.Lost() + s.lost.Load()) })
	return group
}
