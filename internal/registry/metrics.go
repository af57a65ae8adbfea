// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// The kinds that a replica follows, as labels say.
const (
	kindAPIKey       = "APIKey"
	kindOrganization = "Organization"
	kindNamespace    = "Namespace"
)

// replicaMetrics are the metrics of an auth server's member of the registry.
type replicaMetrics struct {
	prometheus.Collector

	repairs *prometheus.CounterVec
	joins   prometheus.Counter
}

func newReplicaMetrics(r *Replica) *replicaMetrics {
	group := prometheus.NewRegistry()
	create := promauto.With(group)
	m := &replicaMetrics{
		Collector: group,
		repairs: create.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_registry_repairs_total",
			Help: "Differences between the index and a consistent list that were repaired, by kind.",
		}, []string{"kind"}),
		joins: create.NewCounter(prometheus.CounterOpts{
			Name: "apikey_registry_joins_total",
			Help: "Joins of the auth server to the registry: at its start, and after it was fenced or lost its Lease.",
		}),
	}
	for _, kind := range []string{kindAPIKey, kindOrganization, kindNamespace} {
		m.repairs.WithLabelValues(kind)
	}
	group.MustRegister(replicaGauges{replica: r})
	return m
}

// replicaGauges are read from the current session when they are collected.
type replicaGauges struct{ replica *Replica }

var (
	readyDesc = prometheus.NewDesc("apikey_registry_ready",
		"1 while the auth server decides, 0 while it joins or is fenced.", nil, nil)
	indexedDesc = prometheus.NewDesc("apikey_registry_indexed_hashes",
		"Key hashes in the index.", nil, nil)
	appliedDesc = prometheus.NewDesc("apikey_registry_applied_revision",
		"The resourceVersion up to which the index has every change, by kind.", []string{"kind"}, nil)
	lagDesc = prometheus.NewDesc("apikey_registry_lag_seconds",
		"Time since the API server last sent a list, an event or a bookmark, by kind. Bookmarks come about once a minute.", []string{"kind"}, nil)
	failureDesc = prometheus.NewDesc("apikey_registry_watch_failure_seconds",
		"Time since the watch failed, by kind. 0 while it works.", []string{"kind"}, nil)
	refusedDesc = prometheus.NewDesc("apikey_registry_refused_objects",
		"Objects that cannot be decoded or are too large, by kind. None of their keys is accepted.", []string{"kind"}, nil)
	fenceDesc = prometheus.NewDesc("apikey_registry_time_to_fence_seconds",
		"Time until the auth server answers 503 to every request unless it renews its Lease.", nil, nil)
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

// The changes that auth servers acknowledge, as labels say.
const (
	changeRegistration = "registration"
	changeRevocation   = "revocation"
	changeEnforcement  = "enforcement"
)

// The states of auth servers, as labels say.
const (
	stateLive    = "live"
	stateSuspect = "suspect"
	stateFenced  = "fenced"
)

// membersMetrics are the metrics of the manager's side.
type membersMetrics struct {
	prometheus.Collector

	acknowledged *prometheus.HistogramVec
	members      *prometheus.GaugeVec
}

func newMembersMetrics() *membersMetrics {
	group := prometheus.NewRegistry()
	create := promauto.With(group)
	m := &membersMetrics{
		Collector: group,
		acknowledged: create.NewHistogramVec(prometheus.HistogramOpts{
			Name: "apikey_registry_acknowledgement_duration_seconds",
			Help: "Time until every auth server had applied a change or was fenced, by change.",
			// From a watch's few milliseconds to the longest bound of staleness.
			Buckets: []float64{.002, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600},
		}, []string{"change"}),
		members: create.NewGaugeVec(prometheus.GaugeOpts{
			Name: "apikey_registry_auth_servers",
			Help: "Auth servers with a Lease, by state.",
		}, []string{"state"}),
	}
	for _, change := range []string{changeRegistration, changeRevocation, changeEnforcement} {
		m.acknowledged.WithLabelValues(change)
	}
	return m
}

func (m *membersMetrics) counted(change string, lasted time.Duration) {
	m.acknowledged.WithLabelValues(change).Observe(lasted.Seconds())
}

func (m *membersMetrics) observed(members []Member) {
	states := map[string]int{stateLive: 0, stateSuspect: 0, stateFenced: 0}
	for i := range members {
		switch {
		case members[i].runOut():
			states[stateFenced]++
		case !members[i].decides():
			states[stateSuspect]++
		default:
			states[stateLive]++
		}
	}
	for state, count := range states {
		m.members.WithLabelValues(state).Set(float64(count))
	}
}
