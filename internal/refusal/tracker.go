// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package refusal

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

const (
	// Patience is how long writes of an object may be refused before that is reported.
	Patience = 5 * time.Second
	// trackerLimit bounds the objects of which this is remembered. Above it the API server
	// refuses everything, which its own metrics say.
	trackerLimit = 1000
)

var unwrittenDesc = prometheus.NewDesc("apikey_manager_unwritten_objects",
	"Objects whose writes the API server has refused for a minute.", nil, nil)

// unwrittenFor is how long writes of an object have to be refused for the metric.
const unwrittenFor = time.Minute

// Tracker remembers the objects of which the API server refuses to store what the manager
// writes. That cannot be said in their conditions, and nothing else shows it: a key may go on
// working that somebody has deleted. It is a prometheus.Collector, and safe for concurrent
// use.
type Tracker struct {
	clock clock.PassiveClock

	mu    sync.Mutex
	since map[types.UID]*tracked
}

type tracked struct {
	at       time.Time
	reported bool
}

// NewTracker returns a Tracker that remembers nothing.
func NewTracker(clock clock.PassiveClock) *Tracker {
	return &Tracker{clock: clock, since: map[types.UID]*tracked{}}
}

// Failed notes that a write of an object has failed, and reports whether to report it: once,
// when it has been refused for Patience.
func (t *Tracker) Failed(uid types.UID, err error) (report bool) {
	if _, refused := Of(err); !refused {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	write := t.since[uid]
	if write == nil {
		if len(t.since) < trackerLimit {
			t.since[uid] = &tracked{at: t.clock.Now()}
		}
		return false
	}
	if write.reported || t.clock.Since(write.at) < Patience {
		return false
	}
	write.reported = true
	return true
}

// Forget forgets an object that was written, or is gone.
func (t *Tracker) Forget(uid types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.since, uid)
}

// Describe implements prometheus.Collector.
func (t *Tracker) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- unwrittenDesc }

// Collect implements prometheus.Collector.
func (t *Tracker) Collect(metrics chan<- prometheus.Metric) {
	metrics <- prometheus.MustNewConstMetric(unwrittenDesc, prometheus.GaugeValue, float64(t.count()))
}

// count returns how many objects could not be written for long.
func (t *Tracker) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	count := 0
	for _, write := range t.since {
		if t.clock.Since(write.at) >= unwrittenFor {
			count++
		}
	}
	return count
}
