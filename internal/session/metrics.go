// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/time/rate"
)

// The results of an attempt to fetch keys, as labels say.
const (
	resultSuccess = "success"
	resultFailure = "failure"
)

// verifierMetrics are the metrics of a Verifier. Nothing of a token is in them.
type verifierMetrics struct {
	prometheus.Collector

	verifications [verdictCount]prometheus.Counter
	fetches       *prometheus.CounterVec
}

func newMetrics(v *Verifier) *verifierMetrics {
	group := prometheus.NewRegistry()
	create := promauto.With(group)
	m := &verifierMetrics{
		Collector: group,
		fetches: create.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_session_key_fetches_total",
			Help: "Attempts to fetch the issuer's keys, by result.",
		}, []string{"result"}),
	}
	verifications := create.NewCounterVec(prometheus.CounterOpts{
		Name: "apikey_session_verifications_total",
		Help: "Dashboard sessions verified, by result. What they may reach is decided after that.",
	}, []string{"result"})
	for verdict := range verdictCount {
		m.verifications[verdict] = verifications.WithLabelValues(verdict.String())
	}
	for _, result := range []string{resultSuccess, resultFailure} {
		m.fetches.WithLabelValues(result)
	}
	create.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "apikey_session_keys_fetched_timestamp_seconds",
		Help: "When the issuer's keys were last fetched, in seconds since 1970. 0 if they never were.",
	}, func() float64 {
		if known := v.keys.Load(); known.attempt > 0 {
			return float64(known.asOf.UnixMilli()) / 1e3
		}
		return 0
	})
	return m
}

func (m *verifierMetrics) fetched(err error) {
	result := resultSuccess
	if err != nil {
		result = resultFailure
	}
	m.fetches.WithLabelValues(result).Inc()
}

const (
	// logInterval is how often the log repeats that fetching fails.
	logInterval = time.Minute
	// maxLoggedBytes bounds an error in the log: go-oidc's errors quote the issuer.
	maxLoggedBytes = 500
)

// reports log how fetching goes, when that changes.
type reports struct {
	log      logr.Logger
	logLimit *rate.Sometimes
	keys     int
	failing  bool
}

func newReports(log logr.Logger) reports {
	return reports{log: log, keys: -1}
}

// fetched is called by one goroutine.
func (r *reports) fetched(keys int, err error) {
	if err != nil {
		if !r.failing {
			r.logLimit = &rate.Sometimes{First: 1, Interval: logInterval}
		}
		r.failing = true
		text := err.Error()
		text = text[:min(len(text), maxLoggedBytes)]
		r.logLimit.Do(func() {
			r.log.Info("could not fetch the issuer's keys; sessions that need them are answered 503; API keys are not affected", "error", text)
		})
		return
	}
	if r.failing || keys != r.keys {
		r.log.Info("fetched the issuer's keys", "keys", keys)
	}
	r.failing, r.keys = false, keys
}
