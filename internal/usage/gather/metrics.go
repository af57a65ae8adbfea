// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// The results of a question, as labels say.
const (
	resultSuccess = "success"
	resultFailure = "failure"
)

// metrics are those of the gathering, without names.
type metrics struct {
	prometheus.Collector

	questions *prometheus.CounterVec
	gaps      prometheus.Counter
}

func newMetrics(g *Gatherer) *metrics {
	group := prometheus.NewRegistry()
	create := promauto.With(group)
	m := &metrics{
		Collector: group,
		questions: create.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_usage_gatherings_total",
			Help: "Requests to auth servers for their usage, by result.",
		}, []string{"result"}),
		gaps: create.NewCounter(prometheus.CounterOpts{
			Name: "apikey_usage_gaps_total",
			Help: "Auth servers that ended or were fenced before their usage was gathered.",
		}),
	}
	for _, result := range []string{resultSuccess, resultFailure} {
		m.questions.WithLabelValues(result)
	}
	group.MustRegister(coverageAge{g})
	return m
}

func (m *metrics) asked(err error) {
	result := resultSuccess
	if err != nil {
		result = resultFailure
	}
	m.questions.WithLabelValues(result).Inc()
}

var coverageAgeDesc = prometheus.NewDesc("apikey_usage_coverage_age_seconds",
	"Time since the moment up to which the usage of every auth server was gathered. Absent while one has never answered.", nil, nil)

// coverageAge is read when it is collected.
type coverageAge struct{ gatherer *Gatherer }

// Describe implements prometheus.Collector.
func (coverageAge) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- coverageAgeDesc }

// Collect implements prometheus.Collector.
func (c coverageAge) Collect(collected chan<- prometheus.Metric) {
	if until := c.gatherer.Coverage().Until; !until.IsZero() {
		collected <- prometheus.MustNewConstMetric(coverageAgeDesc, prometheus.GaugeValue, c.gatherer.Clock.Since(until).Seconds())
	}
}
