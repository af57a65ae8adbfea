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
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
)

// listTimeout ends a scrape's wait for a cache that is not complete yet.
const listTimeout = 5 * time.Second

var (
	expiringDesc = prometheus.NewDesc("apikey_manager_expiring_keys",
		"Keys that expire within a time and were created with more, by that time. 1h is part of 24h, and 24h of 168h.", []string{"within"}, nil)
	refusedDesc = prometheus.NewDesc("apikey_manager_refused_objects",
		"Objects that cannot be decoded or are too large, by kind. None of their keys is accepted.", []string{"kind"}, nil)
)

// objectCollector counts objects when somebody asks. It has five series, however many
// objects there are.
type objectCollector struct {
	reader client.Reader
	clock  clock.PassiveClock
	// elected is closed when this manager acts. One that stands by would have to fill
	// a cache only to say what the other says.
	elected <-chan struct{}
}

// Describe implements prometheus.Collector.
func (objectCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- expiringDesc
	descriptions <- refusedDesc
}

// Collect implements prometheus.Collector. An error would take every other metric with it.
func (c objectCollector) Collect(metrics chan<- prometheus.Metric) {
	select {
	case <-c.elected:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), listTimeout)
	defer cancel()
	gauge := func(desc *prometheus.Desc, n int, label string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n), label)
	}
	keys := &v1alpha1.APIKeyList{}
	if err := c.reader.List(ctx, keys, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err == nil {
		expiring, refused := c.count(keys.Items)
		for i, n := range expiring {
			gauge(expiringDesc, n, lifecycle.ExpiryWarnings[i].Label)
		}
		gauge(refusedDesc, refused, "APIKey")
	}
	organizations := &v1alpha1.OrganizationList{}
	if err := c.reader.List(ctx, organizations, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err == nil {
		refused := 0
		for i := range organizations.Items {
			if organizations.Items[i].Refusal != "" {
				refused++
			}
		}
		gauge(refusedDesc, refused, "Organization")
	}
}

// count returns how many keys each warning holds for, and how many are refused.
func (c objectCollector) count(keys []v1alpha1.APIKey) (expiring []int, refused int) {
	now := c.clock.Now()
	expiring = make([]int, len(lifecycle.ExpiryWarnings))
	for i := range keys {
		key := &keys[i]
		if key.Refusal != "" {
			refused++
		}
		for w, warning := range lifecycle.ExpiryWarnings {
			if due, _ := warning.Due(key, now); due && key.DeletionTimestamp.IsZero() {
				expiring[w]++
			}
		}
	}
	return expiring, refused
}
