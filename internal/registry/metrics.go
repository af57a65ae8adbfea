// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"github.com/prometheus/client_golang/prometheus"
)

// replicaMetrics are the metrics of an auth server's member of the registry.
type replicaMetrics struct {
	repairs *prometheus.CounterVec
}

func newReplicaMetrics(r *Replica, registerer prometheus.Registerer) *replicaMetrics {
	m := &replicaMetrics{
		repairs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_registry_repairs_total",
			Help: "Differences between the index and a consistent list that were repaired. Anything but 0 means that a watch lost an event.",
		}, []string{"kind"}),
	}
	indexed := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "apikey_registry_indexed_hashes",
		Help: "Hashes in the index that requests are judged by.",
	}, func() float64 {
		if s := r.current.Load(); s != nil {
			return float64(s.index.size())
		}
		return 0
	})
	ready := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "apikey_registry_ready",
		Help: "1 while the replica decides; 0 while it joins or is fenced.",
	}, func() float64 {
		if r.Ready() {
			return 1
		}
		return 0
	})
	if registerer != nil {
		registerer.MustRegister(m.repairs, indexed, ready)
	}
	return m
}
