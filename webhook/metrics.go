// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the auth server's own. Labels are bounded: nothing of a request or a
// key is in them.
type metrics struct {
	decisions *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	// refusals is told of refusals, unless it is nil.
	refusals Refusals
}

// endpointMetrics are those of one endpoint, looked up in advance so that a request
// does not have to.
type endpointMetrics struct {
	name      string
	decisions [reasonCount]prometheus.Counter
	duration  prometheus.Observer
	// refusals is told of those at this endpoint, unless it is nil.
	refusals Refusals
	endpoint string
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_auth_decisions_total",
			Help: "Requests that were decided, by the endpoint that was asked and the reason.",
		}, []string{"endpoint", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "apikey_auth_decision_duration_seconds",
			Help: "How long it took to decide, without reading the request or writing the answer.",
			// A decision takes about a microsecond; the last bucket is 65 ms.
			Buckets: prometheus.ExponentialBuckets(250e-9, 4, 10),
		}, []string{"endpoint"}),
	}
	for _, c := range []prometheus.Collector{m.decisions, m.duration} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
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
