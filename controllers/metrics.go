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
	list := func(list client.ObjectList) bool {
		return c.reader.List(ctx, list, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency) == nil
	}
	gauge := func(desc *prometheus.Desc, n int, label string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n), label)
	}
	if keys := (&v1alpha1.APIKeyList{}); list(keys) {
		now, refused, expiring := c.clock.Now(), 0, make([]int, len(lifecycle.ExpiryWarnings))
		for i := range keys.Items {
			key := &keys.Items[i]
			if key.Refusal != "" {
				refused++
			}
			for w, warning := range lifecycle.ExpiryWarnings {
				if due, _ := warning.Due(key, now); due && key.DeletionTimestamp.IsZero() {
					expiring[w]++
				}
			}
		}
		for w, n := range expiring {
			gauge(expiringDesc, n, lifecycle.ExpiryWarnings[w].Label)
		}
		gauge(refusedDesc, refused, "APIKey")
	}
	if organizations := (&v1alpha1.OrganizationList{}); list(organizations) {
		refused := 0
		for i := range organizations.Items {
			if organizations.Items[i].Refusal != "" {
				refused++
			}
		}
		gauge(refusedDesc, refused, "Organization")
	}
}
