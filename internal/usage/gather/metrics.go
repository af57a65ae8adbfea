// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of the gathering, without names.
type metrics struct {
	questions *prometheus.CounterVec
	gaps      prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		questions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_usage_gatherings_total",
			Help: "Auth servers that were asked for what they have counted, each time that one was.",
		}, []string{"result"}),
		gaps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "apikey_usage_gaps_total",
			Help: "Auth servers that ended, or were fenced, without having handed over what they had counted: a replaced key is then kept for longer.",
		}),
	}
	for _, result := range []string{"success", "failure"} {
		m.questions.WithLabelValues(result)
	}
	return m
}

func (m *metrics) asked(err error) {
	result := "success"
	if err != nil {
		result = "failure"
	}
	m.questions.WithLabelValues(result).Inc()
}

var coverageAgeDesc = prometheus.NewDesc("apikey_usage_coverage_age_seconds",
	"How long ago the time is up to which every auth server's counts were gathered; absent while one was never heard.", nil, nil)

// Describe implements prometheus.Collector.
func (g *Gatherer) Describe(descriptions chan<- *prometheus.Desc) {
	g.metrics.questions.Describe(descriptions)
	g.metrics.gaps.Describe(descriptions)
	descriptions <- coverageAgeDesc
}

// Collect implements prometheus.Collector.
func (g *Gatherer) Collect(collected chan<- prometheus.Metric) {
	g.metrics.questions.Collect(collected)
	g.metrics.gaps.Collect(collected)
	if until := g.Coverage().Until; !until.IsZero() {
		collected <- prometheus.MustNewConstMetric(coverageAgeDesc, prometheus.GaugeValue, g.Clock.Since(until).Seconds())
	}
}
