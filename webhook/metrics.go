// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the auth server's own. Labels are bounded: nothing of a request or a
// key is in them.
type metrics struct {
	prometheus.Collector

	decisions *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	// refusals is called for each refusal, unless it is nil.
	refusals Refusals
}

// endpointMetrics are those of one endpoint, looked up in advance so that a request
// does not have to.
type endpointMetrics struct {
	name      string
	decisions [reasonCount]prometheus.Counter
	duration  prometheus.Observer
	refusals  Refusals
	endpoint  string
}

func newMetrics() *metrics {
	group := prometheus.NewRegistry()
	create := promauto.With(group)
	return &metrics{
		Collector: group,
		decisions: create.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_auth_decisions_total",
			Help: "Requests decided, by endpoint and result.",
		}, []string{"endpoint", "result"}),
		duration: create.NewHistogramVec(prometheus.HistogramOpts{
			Name: "apikey_auth_decision_duration_seconds",
			Help: "Time to decide, without reading the request or writing the answer, by endpoint.",
			// A decision takes about a microsecond; the last bucket is 65 ms.
			Buckets: prometheus.ExponentialBuckets(250e-9, 4, 10),
		}, []string{"endpoint"}),
	}
}

func (m *metrics) endpoint(name string) *endpointMetrics {
	e := &endpointMetrics{name: name, duration: m.duration.WithLabelValues(name)}
	for reason := range reasonCount {
		if reason != RequestStalled && reason != TooBusy && reason != UpstreamUnavailable && reason != NoSuchEndpoint { // no decisions
			e.decisions[reason] = m.decisions.WithLabelValues(name, reason.String())
		}
	}
	e.refusals, e.endpoint = m.refusals, name
	return e
}

func (e *endpointMetrics) observe(reason Reason, took time.Duration) {
	e.decisions[reason].Inc()
	e.duration.Observe(took.Seconds())
}
