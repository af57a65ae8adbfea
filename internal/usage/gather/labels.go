// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// DefaultKeyMetricsLimit is how many versions have metrics of their own at most.
const DefaultKeyMetricsLimit = 1000

// labels are the versions that have metrics of their own: a bounded number, those that
// came first, until they are gone.
type labels struct {
	limit, taken int
}

// label is what the metrics of a version are called.
type label struct{ namespace, name, keyID string }

func (l *labels) admit(v *version, key *v1alpha1.APIKey, keyID string) {
	if v.label == nil && l.taken < l.limit && !v.lastUsed.IsZero() {
		l.taken++
		v.label = &label{namespace: key.Namespace, name: key.Name, keyID: keyID}
	}
}

func (l *labels) release(v *version) {
	if v.label != nil {
		l.taken--
		v.label = nil
	}
}

var (
	keyRequestsDesc = prometheus.NewDesc("apikey_usage_key_requests_total",
		"Requests with a key, as gathered from auth servers.", []string{"namespace", "name", "key_id"}, nil)
	keyLastUsedDesc = prometheus.NewDesc("apikey_usage_key_last_used_timestamp_seconds",
		"When a key was last used, in seconds since 1970, as gathered from auth servers.", []string{"namespace", "name", "key_id"}, nil)
	keysUnlabelledDesc = prometheus.NewDesc("apikey_usage_keys_over_limit",
		"Keys in use without metrics of their own, because of --per-key-metrics-limit.", nil, nil)
)

// keyMetrics are the metrics of single keys.
type keyMetrics struct{ ledger *Ledger }

// Describe implements prometheus.Collector.
func (keyMetrics) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- keyRequestsDesc
	descriptions <- keyLastUsedDesc
	descriptions <- keysUnlabelledDesc
}

// Collect implements prometheus.Collector.
func (m keyMetrics) Collect(metrics chan<- prometheus.Metric) {
	m.ledger.mu.Lock()
	defer m.ledger.mu.Unlock()
	over := 0
	for _, v := range m.ledger.versions {
		if v.label == nil {
			if v.absent < 0 && !v.lastUsed.IsZero() {
				over++
			}
			continue
		}
		values := []string{v.label.namespace, v.label.name, v.label.keyID}
		metrics <- prometheus.MustNewConstMetric(keyRequestsDesc, prometheus.CounterValue, float64(v.requests), values...)
		metrics <- prometheus.MustNewConstMetric(keyLastUsedDesc, prometheus.GaugeValue, float64(v.lastUsed.Unix()), values...)
	}
	metrics <- prometheus.MustNewConstMetric(keysUnlabelledDesc, prometheus.GaugeValue, float64(over))
}

// KeyMetrics sets how many versions have metrics of their own.
func (l *Ledger) KeyMetrics(limit int) prometheus.Collector {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.labels.limit = limit
	return keyMetrics{ledger: l}
}
