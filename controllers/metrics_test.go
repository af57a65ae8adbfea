// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"maps"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func TestMetricsOfObjectsAreFiveSeries(t *testing.T) {
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	key := func(name string, left time.Duration, change ...func(*v1alpha1.APIKey)) client.Object {
		k := &v1alpha1.APIKey{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, CreationTimestamp: metav1.NewTime(noon.Add(-60 * day))}}
		if left >= 0 {
			k.Spec.ExpirationTime = ptr.To(metav1.NewTime(noon.Add(left)))
		}
		for _, f := range change {
			f(k)
		}
		return k
	}
	objects := []client.Object{
		key("forever", -1), key("in-8-days", 8*day), key("in-6-days", 6*day), key("in-5-days", 5*day),
		key("in-an-hour", time.Hour), key("in-a-minute", time.Minute), key("expired", 0),
		key("going", time.Minute, func(k *v1alpha1.APIKey) {
			k.DeletionTimestamp, k.Finalizers = ptr.To(metav1.NewTime(noon)), []string{v1alpha1.Finalizer}
		}),
		key("short-lived", time.Hour, func(k *v1alpha1.APIKey) { k.CreationTimestamp = metav1.NewTime(noon) }),
	}
	elected := make(chan struct{})
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(objectCollector{
		reader: fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build(), clock: clocktesting.NewFakePassiveClock(noon), elected: elected,
	})
	gathered := func() map[string]float64 {
		t.Helper()
		families, err := metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]float64{}
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				values[family.GetName()+" "+metric.GetLabel()[0].GetValue()] = metric.GetGauge().GetValue()
			}
		}
		return values
	}
	if got := gathered(); len(got) != 0 {
		t.Errorf("a manager that stands by says %v", got)
	}
	close(elected)
	want := map[string]float64{
		"apikey_manager_expiring_keys 1h": 2, "apikey_manager_expiring_keys 24h": 2, "apikey_manager_expiring_keys 168h": 4,
		"apikey_manager_refused_objects APIKey": 0, "apikey_manager_refused_objects Organization": 0,
	}
	if got := gathered(); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
