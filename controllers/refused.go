// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

var refusedDesc = prometheus.NewDesc("apikey_manager_refused_objects",
	"Objects that are refused because a part of them cannot be decoded, or because they are too large. A condition of each says why.",
	[]string{"kind"}, nil)

// refusedCollector counts the objects that are refused when somebody asks. It has two
// series, however many objects there are.
type refusedCollector struct {
	reader client.Reader
	// elected is as in expiryCollector.
	elected <-chan struct{}
}

// Describe implements prometheus.Collector.
func (refusedCollector) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- refusedDesc }

// Collect implements prometheus.Collector.
func (c refusedCollector) Collect(metrics chan<- prometheus.Metric) {
	select {
	case <-c.elected:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), expiryListTimeout)
	defer cancel()
	count := func(kind string, n int) {
		metrics <- prometheus.MustNewConstMetric(refusedDesc, prometheus.GaugeValue, float64(n), kind)
	}
	// An error would take every other metric with it.
	keys := &v1alpha1.APIKeyList{}
	if err := c.reader.List(ctx, keys, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err == nil {
		refused := 0
		for i := range keys.Items {
			if keys.Items[i].Refusal != "" {
				refused++
			}
		}
		count("APIKey", refused)
	}
	organizations := &v1alpha1.OrganizationList{}
	if err := c.reader.List(ctx, organizations, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err == nil {
		refused := 0
		for i := range organizations.Items {
			if organizations.Items[i].Refusal != "" {
				refused++
			}
		}
		count("Organization", refused)
	}
}
