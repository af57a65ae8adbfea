// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The kinds that a replica follows, as labels say.
const (
	kindAPIKey       = "APIKey"
	kindOrganization = "Organization"
	kindNamespace    = "Namespace"
)

// replicaMetrics are the metrics of an auth server's member of the registry.
type replicaMetrics struct {
	repairs  *prometheus.CounterVec
	sessions prometheus.Counter
	gauges   replicaGauges
}

func newReplicaMetrics(r *Replica, registerer prometheus.Registerer) *replicaMetrics {
	m := &replicaMetrics{
		repairs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_registry_repairs_total",
			Help: "Differences between the index and a consistent list that were repaired. Anything but 0 means that a watch lost an event, or was late by more than 10 seconds.",
		}, []string{"kind"}),
		sessions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "apikey_registry_sessions_total",
			Help: "Sessions that were begun: 1 at the start, and one more each time that the replica was fenced or lost its Lease.",
		}),
		gauges: replicaGauges{replica: r},
	}
	if registerer != nil {
		registerer.MustRegister(m.repairs, m.sessions, m.gauges)
	}
	return m
}

// replicaGauges tell of the session that requests are judged by when somebody asks.
type replicaGauges struct{ replica *Replica }

var (
	readyDesc = prometheus.NewDesc("apikey_registry_ready",
		"1 while the replica decides; 0 while it joins or is fenced.", nil, nil)
	indexedDesc = prometheus.NewDesc("apikey_registry_indexed_hashes",
		"Hashes in the index that requests are judged by.", nil, nil)
	appliedDesc = prometheus.NewDesc("apikey_registry_applied_revision",
		"The resourceVersion up to which the index has every change.", []string{"kind"}, nil)
	lagDesc = prometheus.NewDesc("apikey_registry_lag_seconds",
		"Time since the API server last brought a list, an event or a bookmark: the index is at most so old. Bookmarks come about each minute.", []string{"kind"}, nil)
	failureDesc = prometheus.NewDesc("apikey_registry_watch_failure_seconds",
		"Time since the watch of a kind was lost and could not be restored; 0 while it works. From the first renewal after half of --suspect-after no key is called unknown; from --max-staleness everything is answered 503.", []string{"kind"}, nil)
	refusedDesc = prometheus.NewDesc("apikey_registry_refused_objects",
		"Objects that cannot be decoded, or are too large: none of their keys is accepted. Their statuses and the log name them.", []string{"kind"}, nil)
	fenceDesc = prometheus.NewDesc("apikey_registry_time_to_fence_seconds",
		"Time until the replica answers 503 to everything unless it renews its Lease; 0 when it does.", nil, nil)
)

// Describe implements prometheus.Collector.
func (replicaGauges) Describe(descriptions chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{readyDesc, indexedDesc, appliedDesc, lagDesc, failureDesc, refusedDesc, fenceDesc} {
		descriptions <- desc
	}
}

// Collect implements prometheus.Collector.
func (g replicaGauges) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	s := g.replica.current.Load()
	if s == nil {
		gauge(readyDesc, 0)
		gauge(indexedDesc, 0)
		gauge(fenceDesc, 0)
		return
	}
	now := g.replica.config.Clock.Now()
	left := s.timeToFence(now)
	if left > 0 {
		gauge(readyDesc, 1)
	} else {
		gauge(readyDesc, 0)
	}
	gauge(indexedDesc, float64(s.index.size()))
	gauge(fenceDesc, left.Seconds())
	keys, organizations := s.index.refused()
	gauge(refusedDesc, float64(keys), kindAPIKey)
	gauge(refusedDesc, float64(organizations), kindOrganization)
	for kind, p := range s.feed.kinds() {
		gauge(lagDesc, max(0, now.Sub(p.lastHeard()).Seconds()), kind)
		failing, _ := p.failure()
		gauge(failureDesc, failing.Seconds(), kind)
		// Revisions are decimal numbers (KEP-5504), or the feed had refused them.
		if revision, err := strconv.ParseFloat(p.revision(), 64); err == nil {
			gauge(appliedDesc, revision, kind)
		}
	}
}

// membersMetrics are the metrics of the manager's side.
type membersMetrics struct {
	acknowledged *prometheus.HistogramVec
	members      *prometheus.GaugeVec
}

func newMembersMetrics() membersMetrics {
	return membersMetrics{
		acknowledged: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "apikey_registry_acknowledgement_seconds",
			Help: "Time from a change's wait for the auth servers until each had applied it, or was known to be fenced.",
			// From a watch's few milliseconds to the longest bound of staleness.
			Buckets: []float64{.002, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600},
		}, []string{"change"}),
		members: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "apikey_registry_auth_servers",
			Help: "Auth servers with a Lease: live; suspect, which are silent or cannot watch, and which new keys do not wait for; or fenced, which nothing waits for.",
		}, []string{"state"}),
	}
}

// Describe implements prometheus.Collector.
func (m *Members) Describe(descriptions chan<- *prometheus.Desc) {
	m.metrics.acknowledged.Describe(descriptions)
	m.metrics.members.Describe(descriptions)
}

// Collect implements prometheus.Collector.
func (m *Members) Collect(metrics chan<- prometheus.Metric) {
	m.metrics.acknowledged.Collect(metrics)
	m.metrics.members.Collect(metrics)
}

// counted takes note of a wait that is over.
func (m *membersMetrics) counted(change string, lasted time.Duration) {
	m.acknowledged.WithLabelValues(change).Observe(lasted.Seconds())
}

// surveyed takes note of how the auth servers are.
func (m *membersMetrics) surveyed(members []Member) {
	states := map[string]int{"live": 0, "suspect": 0, "fenced": 0}
	for i := range members {
		switch {
		case members[i].runOut():
			states["fenced"]++
		case !members[i].decides():
			states["suspect"]++
		default:
			states["live"]++
		}
	}
	for state, count := range states {
		m.members.WithLabelValues(state).Set(float64(count))
	}
}
