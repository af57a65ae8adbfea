// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	// unwrittenPatience is how long writes of an object may fail before somebody is told.
	unwrittenPatience = time.Minute
	// unwrittenLimit bounds the objects of which this is remembered. Above it the API
	// server refuses everything, which its own metrics say.
	unwrittenLimit = 1000
)

var unwrittenDesc = prometheus.NewDesc("apikey_manager_unwritten_objects",
	"Objects of which the API server has refused for a minute to store what the manager writes, as when one is too large. An event of each says so.",
	nil, nil)

// unwritten remembers the objects of which the API server refuses to store what the
// manager writes. That cannot be said in their conditions, and nothing else shows it: a
// key may go on working that somebody has deleted. A nil one remembers nothing.
type unwritten struct {
	clock clock.PassiveClock

	mu    sync.Mutex
	since map[types.UID]*refusedWrite
}

type refusedWrite struct {
	at   time.Time
	told bool
}

func newUnwritten(clock clock.PassiveClock) *unwritten {
	return &unwritten{clock: clock, since: map[types.UID]*refusedWrite{}}
}

// failed notes that a write of object has failed, and tells of it when that has gone on for
// long, once.
func (u *unwritten) failed(ctx context.Context, events eventWriter, object client.Object, err error) {
	if u.note(object, err) {
		events.notWritten(object, err)
		log.FromContext(ctx).Info("object cannot be written", "reason", apierrors.ReasonForError(err), "code", statusCode(err))
	}
}

// note notes that a write of object has failed, and reports whether to tell of it.
func (u *unwritten) note(object client.Object, err error) (tell bool) {
	if u == nil || !refusedByServer(err) {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	write := u.since[object.GetUID()]
	if write == nil {
		if len(u.since) < unwrittenLimit {
			u.since[object.GetUID()] = &refusedWrite{at: u.clock.Now()}
		}
		return false
	}
	if write.told || u.clock.Since(write.at) < unwrittenPatience {
		return false
	}
	write.told = true
	return true
}

// forget forgets an object of which everything was written, or that is gone.
func (u *unwritten) forget(object client.Object) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.since, object.GetUID())
}

// refusedByServer reports whether the API server has answered, and does not take what it
// was sent. It answers 500 where etcd does not take it.
func refusedByServer(err error) bool {
	switch code := statusCode(err); {
	case code == http.StatusTooManyRequests, apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return false
	default:
		return code >= http.StatusBadRequest && code <= http.StatusInternalServerError
	}
}

// Describe implements prometheus.Collector.
func (u *unwritten) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- unwrittenDesc }

// Collect implements prometheus.Collector.
func (u *unwritten) Collect(metrics chan<- prometheus.Metric) {
	metrics <- prometheus.MustNewConstMetric(unwrittenDesc, prometheus.GaugeValue, float64(u.count()))
}

// count returns how many objects could not be written for long.
func (u *unwritten) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	count := 0
	for _, write := range u.since {
		if u.clock.Since(write.at) >= unwrittenPatience {
			count++
		}
	}
	return count
}
