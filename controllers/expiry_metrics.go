// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// expiryListTimeout ends a scrape's wait for a cache that is not complete yet.
const expiryListTimeout = 5 * time.Second

var expiringDesc = prometheus.NewDesc("apikey_expiry_keys",
	"Keys that people were warned of: those that stop working within that time, and were made with more. 1h is part of 24h, and 24h of 168h.",
	[]string{"within"}, nil)

// expiryCollector counts the keys that are about to expire when somebody asks. It has
// three series, however many keys there are.
type expiryCollector struct {
	reader client.Reader
	clock  clock.PassiveClock
	// elected is closed when this manager acts. One that stands by would have to fill
	// a cache only to say what the other says.
	elected <-chan struct{}
}

// Describe implements prometheus.Collector.
func (expiryCollector) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- expiringDesc }

// Collect implements prometheus.Collector.
func (c expiryCollector) Collect(metrics chan<- prometheus.Metric) {
	select {
	case <-c.elected:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), expiryListTimeout)
	defer cancel()
	list := &v1alpha1.APIKeyList{}
	if err := c.reader.List(ctx, list, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		// An error would take every other metric with it.
		return
	}
	now := c.clock.Now()
	counts := make([]int, len(expiryWarnings))
	for i := range list.Items {
		key := &list.Items[i]
		if !key.DeletionTimestamp.IsZero() {
			continue
		}
		for w := range expiryWarnings {
			if due, _ := expiryWarnings[w].due(key, now); due {
				counts[w]++
			}
		}
	}
	for w, count := range counts {
		metrics <- prometheus.MustNewConstMetric(expiringDesc, prometheus.GaugeValue, float64(count), expiryWarnings[w].label)
	}
}
