// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

const day = 24 * time.Hour

// mortal is a key that was made at noon and lives for so long.
func mortal(life time.Duration, change ...func(*v1alpha1.APIKey)) *v1alpha1.APIKey {
	return testKey(append([]func(*v1alpha1.APIKey){func(k *v1alpha1.APIKey) {
		k.CreationTimestamp = metav1.NewTime(noon)
		k.Spec.TTL = &metav1.Duration{Duration: life}
	}}, change...)...)
}

func TestWarningsBeforeExpiry(t *testing.T) {
	for name, test := range map[string]struct {
		life, age time.Duration
		// reason of the warning; next is the age at the next pass, 0 for none.
		reason string
		next   time.Duration
	}{
		"long before":                  {30 * day, 0, "", 23 * day},
		"a moment before the first":    {30 * day, 23*day - 1, "", 23 * day},
		"7 days before":                {30 * day, 23 * day, v1alpha1.ReasonWithin7Days, 29 * day},
		"a moment before the second":   {30 * day, 29*day - 1, v1alpha1.ReasonWithin7Days, 29 * day},
		"a day before":                 {30 * day, 29 * day, v1alpha1.ReasonWithin1Day, 30*day - time.Hour},
		"an hour before":               {30 * day, 30*day - time.Hour, v1alpha1.ReasonWithin1Hour, 30 * day},
		"a moment before":              {30 * day, 30*day - 1, v1alpha1.ReasonWithin1Hour, 30 * day},
		"at the end":                   {30 * day, 30 * day, "", 0},
		"long after":                   {30 * day, 60 * day, "", 0},
		"made for 3 days, new":         {3 * day, 0, "", 2 * day},
		"made for 3 days, a day left":  {3 * day, 2 * day, v1alpha1.ReasonWithin1Day, 3*day - time.Hour},
		"made for 7 days, new":         {7 * day, 0, "", 6 * day},
		"made for an hour":             {time.Hour, 0, "", time.Hour},
		"made for an hour, half of it": {time.Hour, time.Hour / 2, "", time.Hour},
		"made for 2 hours, one left":   {2 * time.Hour, time.Hour, v1alpha1.ReasonWithin1Hour, 2 * time.Hour},
	} {
		for kind, key := range map[string]*v1alpha1.APIKey{
			"ttl": mortal(test.life),
			"expirationTime": mortal(0, func(k *v1alpha1.APIKey) {
				k.Spec.TTL, k.Spec.ExpirationTime = nil, ptr.To(metav1.NewTime(noon.Add(test.life)))
			}),
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				p := &pass{key: key, observed: key.DeepCopy(), now: noon.Add(test.age), permission: good(v1alpha1.ReasonPermitted, "permitted")}
				lookAgainForExpiry(p)
				judge(p)
				reason := ""
				if condition := meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionExpiringSoon); condition != nil {
					reason = condition.Reason
					for _, part := range []string{noon.Add(test.life).Format(time.RFC3339), "spec." + kind} {
						if !strings.Contains(condition.Message, part) {
							t.Errorf("%q does not say %q", condition.Message, part)
						}
					}
				}
				if reason != test.reason {
					t.Errorf("reason %q, want %q", reason, test.reason)
				}
				if want := max(0, test.next-test.age); p.again != want {
					t.Errorf("looks again after %v, want %v", p.again, want)
				}
				if got := key.Status.ExpirationTime; got == nil || !got.Time.Equal(noon.Add(test.life)) {
					t.Errorf("status.expirationTime is %v", got)
				}
			})
		}
	}
}

func TestExpiryInTheStatusIsStoredAsItIsCompared(t *testing.T) {
	key := mortal(time.Minute + 300*time.Millisecond)
	judgeExpiry(&pass{key: key, now: noon})
	if got, want := key.Status.ExpirationTime.Time, noon.Add(time.Minute); !got.Equal(want) {
		t.Errorf("status.expirationTime is %v, want %v", got, want)
	}
	key.Spec.TTL = nil
	judgeExpiry(&pass{key: key, now: noon})
	if key.Status.ExpirationTime != nil {
		t.Error("status.expirationTime stays when the key does not expire any more")
	}
}

func TestDormancyByTTL(t *testing.T) {
	key := mortal(time.Hour)
	if found := dormancy(key, noon.Add(time.Hour-1)); found.reason != "" {
		t.Errorf("a moment before: %+v", found)
	}
	found := dormancy(key, noon.Add(time.Hour))
	if found.reason != v1alpha1.ReasonExpired || !found.stalled || !strings.Contains(found.message, "spec.ttl 1h0m0s has ended at 2026-01-02T13:00:00Z") {
		t.Errorf("at the end: %+v", found)
	}
	key.Spec.TTL.Duration = 2 * time.Hour
	if found := dormancy(key, noon.Add(time.Hour)); found.reason != "" {
		t.Errorf("with a later ttl: %+v", found)
	}
}

// What was announced is in the status, so that a manager that starts says nothing
// again.
func TestAWarningIsGivenOnceForEachExpiry(t *testing.T) {
	key := mortal(30 * day)
	var said []string
	at := func(age time.Duration) {
		recorder := events.NewFakeRecorder(10)
		p := &pass{key: key, observed: key.DeepCopy(), now: noon.Add(age), permission: good(v1alpha1.ReasonPermitted, "permitted")}
		judge(p)
		// A reconciler that remembers nothing, as after a restart.
		(&APIKeyReconciler{Events: eventWriter{recorder: recorder}}).warnOfExpiry(p)
		for len(recorder.Events) > 0 {
			said = append(said, strings.Join(strings.Fields(<-recorder.Events)[:2], " ")+" "+meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionExpiringSoon).Reason)
		}
	}
	expect := func(what string, want ...string) {
		t.Helper()
		if strings.Join(said, "; ") != strings.Join(want, "; ") {
			t.Errorf("%s: said %q, want %q", what, said, want)
		}
		said = nil
	}
	at(0)
	expect("when it is new")
	for _, age := range []time.Duration{23 * day, 23*day + 1, 24 * day, 29 * day, 29*day + time.Hour, 30*day - time.Hour, 30*day - 1, 30 * day} {
		at(age)
	}
	expect("up to its end", "Warning ExpiringSoon Within7Days", "Warning ExpiringSoon Within1Day", "Warning ExpiringSoon Within1Hour")
	key.Spec.TTL.Duration = 60 * day
	at(30 * day)
	expect("with a later end")
	at(53 * day)
	at(53*day + 1)
	expect("before that", "Warning ExpiringSoon Within7Days")
	// The end is moved within the same 7 days.
	key.Spec.TTL.Duration = 59 * day
	at(53 * day)
	at(53 * day)
	expect("with an earlier end", "Warning ExpiringSoon Within7Days")
}

func TestExpiryMetricsAreThreeSeries(t *testing.T) {
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	named := func(name string) func(*v1alpha1.APIKey) {
		return func(k *v1alpha1.APIKey) { k.Name, k.CreationTimestamp = name, metav1.NewTime(noon.Add(-60*day)) }
	}
	keys := []client.Object{
		testKey(named("forever")),
		mortal(60*day+8*day, named("in-8-days")),
		mortal(60*day+6*day, named("in-6-days")),
		mortal(60*day+5*day, named("in-5-days")),
		mortal(60*day+time.Hour, named("in-an-hour")),
		mortal(60*day+time.Minute, named("in-a-minute")),
		mortal(60*day, named("expired")),
		mortal(60*day+time.Minute, named("going"), func(k *v1alpha1.APIKey) {
			k.DeletionTimestamp, k.Finalizers = ptr.To(metav1.NewTime(noon)), []string{v1alpha1.Finalizer}
		}),
		mortal(time.Hour, func(k *v1alpha1.APIKey) { k.Name = "short-lived" }),
	}
	elected := make(chan struct{})
	collector := expiryCollector{
		reader:  fake.NewClientBuilder().WithScheme(scheme).WithObjects(keys...).Build(),
		clock:   clocktesting.NewFakePassiveClock(noon),
		elected: elected,
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collector)
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
	want := map[string]float64{"apikey_expiry_keys 1h": 2, "apikey_expiry_keys 24h": 2, "apikey_expiry_keys 168h": 4}
	if got := gathered(); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
