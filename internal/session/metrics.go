// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// The outcomes of an attempt to fetch keys, as labels say.
const (
	outcomeFetched = "fetched"
	outcomeFailed  = "failed"
)

// verifierMetrics are the metrics of a Verifier. Nothing of a token is in them.
type verifierMetrics struct {
	verifier *Verifier
	verdicts [verdictCount]prometheus.Counter
	judged   *prometheus.CounterVec
	fetches  *prometheus.CounterVec
}

var keysTimeDesc = prometheus.NewDesc("apikey_session_keys_fetched_timestamp_seconds",
	"When the issuer's keys that sessions are judged by were fetched, in seconds since 1970; 0 if they never were. After an hour without new ones sessions are undecided.", nil, nil)

func newMetrics(v *Verifier) *verifierMetrics {
	m := &verifierMetrics{
		verifier: v,
		judged: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_session_verdicts_total",
			Help: "Dashboard sessions that were judged, by verdict, before it was asked what they may reach.",
		}, []string{"verdict"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_session_key_fetches_total",
			Help: "Attempts to fetch the issuer's keys.",
		}, []string{"outcome"}),
	}
	for verdict := range verdictCount {
		m.verdicts[verdict] = m.judged.WithLabelValues(verdict.String())
	}
	for _, outcome := range []string{outcomeFetched, outcomeFailed} {
		m.fetches.WithLabelValues(outcome)
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *verifierMetrics) Describe(descriptions chan<- *prometheus.Desc) {
	m.judged.Describe(descriptions)
	m.fetches.Describe(descriptions)
	descriptions <- keysTimeDesc
}

// Collect implements prometheus.Collector.
func (m *verifierMetrics) Collect(metrics chan<- prometheus.Metric) {
	m.judged.Collect(metrics)
	m.fetches.Collect(metrics)
	seconds := 0.0
	if known := m.verifier.keys.Load(); known.attempt > 0 {
		seconds = float64(known.asOf.UnixMilli()) / 1e3
	}
	metrics <- prometheus.MustNewConstMetric(keysTimeDesc, prometheus.GaugeValue, seconds)
}

func (m *verifierMetrics) fetched(err error) {
	outcome := outcomeFetched
	if err != nil {
		outcome = outcomeFailed
	}
	m.fetches.WithLabelValues(outcome).Inc()
}

const (
	// complaintInterval is how often the log repeats that the issuer does not answer.
	complaintInterval = time.Minute
	// maxComplaintBytes bounds what the log holds of it: go-oidc's errors hold what
	// the issuer has answered.
	maxComplaintBytes = 500
)

// reports tell the log how fetching goes, when that changes.
type reports struct {
	log        logr.Logger
	complaints *rate.Sometimes
	keys       int
	failing    bool
}

func newReports(log logr.Logger) reports {
	return reports{log: log, keys: -1}
}

// fetched is called by one goroutine.
func (r *reports) fetched(keys int, err error) {
	if err != nil {
		if !r.failing {
			r.complaints = &rate.Sometimes{First: 1, Interval: complaintInterval}
		}
		r.failing = true
		text := err.Error()
		text = text[:min(len(text), maxComplaintBytes)]
		r.complaints.Do(func() {
			r.log.Info("the issuer's keys could not be fetched: dashboard sessions are undecided when they are needed, keys are not affected", "error", text)
		})
		return
	}
	if r.failing || keys != r.keys {
		r.log.Info("the issuer's keys were fetched", "keys", keys)
	}
	r.failing, r.keys = false, keys
}
