// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// gathered has the value of each metric, or the number of what a histogram has
// counted, by name and label values.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	must(t, err)
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := []string{family.GetName()}
			for _, label := range metric.GetLabel() {
				name = append(name, label.GetValue())
			}
			values[strings.Join(name, " ")] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return values
}

func TestMetricsOfAReplica(t *testing.T) {
	clock := testclock.NewFakeClock(epoch)
	metrics := prometheus.NewRegistry()
	r, err := NewReplica(ReplicaConfig{
		Client: &simLink{}, Namespace: "system", LeaseName: "a", MaxStaleness: 10 * time.Second, Clock: clock,
	})
	must(t, err)
	must(t, metrics.Register(r))
	before := map[string]float64{
		"apikey_registry_ready": 0, "apikey_registry_indexed_hashes": 0, "apikey_registry_time_to_fence_seconds": 0,
		"apikey_registry_joins_total":          0,
		"apikey_registry_repairs_total APIKey": 0, "apikey_registry_repairs_total Organization": 0, "apikey_registry_repairs_total Namespace": 0,
	}
	if got := gathered(t, metrics); !maps.Equal(got, before) {
		t.Errorf("before it has joined: %v", got)
	}

	s := newSession(newIndex(nil), bounds{staleness: 10 * time.Second, suspect: 5 * time.Second}, epoch)
	notify, fail := func() {}, func(err error) { t.Error(err) }
	s.feed = &feed{keys: newProgress(clock, notify, fail), organizations: newProgress(clock, notify, fail), namespaces: newProgress(clock, notify, fail)}
	r.current.Store(s)
	clock.Step(3 * time.Second)
	refusals := newRefusalLog(logr.Discard(), kindAPIKey, testclock.NewFakeClock(epoch))
	refused := apiKey("b", "40", "other", func(k *v1alpha1.APIKey) { k.Refusal = "spec.expirationTime cannot be decoded" })
	must(t, keyStore{s.index, s.feed.keys, refusals}.Replace([]any{apiKey("a", "41", "secret"), refused}, "42"))
	s.feed.organizations.asks()
	_ = s.feed.organizations.answered(errors.New("refused"))
	clock.Step(time.Second)
	want := map[string]float64{
		"apikey_registry_ready": 1, "apikey_registry_indexed_hashes": 1, "apikey_registry_time_to_fence_seconds": 6,
		"apikey_registry_applied_revision APIKey": 42, "apikey_registry_applied_revision Organization": 0,
		"apikey_registry_lag_seconds APIKey": 1, "apikey_registry_lag_seconds Organization": 4,
		"apikey_registry_applied_revision Namespace": 0, "apikey_registry_lag_seconds Namespace": 4,
		"apikey_registry_watch_failure_seconds APIKey": 0, "apikey_registry_watch_failure_seconds Organization": 1, "apikey_registry_watch_failure_seconds Namespace": 0,
		"apikey_registry_refused_objects APIKey": 1, "apikey_registry_refused_objects Organization": 0,
		"apikey_registry_joins_total":          0,
		"apikey_registry_repairs_total APIKey": 0, "apikey_registry_repairs_total Organization": 0, "apikey_registry_repairs_total Namespace": 0,
	}
	if got := gathered(t, metrics); !maps.Equal(got, want) {
		t.Errorf("as a member: %v, want %v", got, want)
	}
	clock.Step(6 * time.Second)
	got := gathered(t, metrics)
	if got["apikey_registry_ready"] != 0 || got["apikey_registry_time_to_fence_seconds"] != 0 {
		t.Errorf("fenced: %v", got)
	}
}

// leaseReader answers each list with what leases returns.
type leaseReader struct {
	client.Reader
	leases func() []coordinationv1.Lease
}

func (r leaseReader) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*coordinationv1.LeaseList).Items = r.leases()
	return nil
}

func TestMetricsOfMembers(t *testing.T) {
	clock := testclock.NewFakePassiveClock(epoch)
	renewals := 0
	reader := leaseReader{leases: func() []coordinationv1.Lease {
		renewals++
		return []coordinationv1.Lease{leaseAt("dead", "1", "99"), leaseAt("live", fmt.Sprint(renewals), "100")}
	}}
	m := NewMembers(reader, "system", clock)
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(m)
	for _, test := range []struct {
		after                          time.Duration
		revoked, live, suspect, runOut float64
	}{
		{0, 0, 2, 0, 0},
		{6 * time.Second, 0, 1, 1, 0},
		{12 * time.Second, 1, 1, 0, 1},
	} {
		clock.SetTime(epoch.Add(test.after))
		_, err := m.Revocation(t.Context(), Wait{Revision: "100", Since: epoch.Add(-time.Second)})
		must(t, err)
		want := map[string]float64{
			"apikey_registry_auth_servers live": test.live, "apikey_registry_auth_servers suspect": test.suspect,
			"apikey_registry_auth_servers fenced":                           test.runOut,
			"apikey_registry_acknowledgement_duration_seconds registration": 0,
			"apikey_registry_acknowledgement_duration_seconds revocation":   test.revoked,
			"apikey_registry_acknowledgement_duration_seconds enforcement":  0,
		}
		if got := gathered(t, metrics); !maps.Equal(got, want) {
			t.Errorf("after %s: %v, want %v", test.after, got, want)
		}
	}
}
