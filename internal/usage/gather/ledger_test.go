// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newLedger() (*Ledger, *testingclock.FakeClock) {
	clock := testingclock.NewFakeClock(epoch)
	return NewLedger(clock, time.Hour), clock
}

// keyOf returns an APIKey with one version.
func keyOf(name string, state v1alpha1.VersionState) *v1alpha1.APIKey {
	return &v1alpha1.APIKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID(name)},
		Status:     v1alpha1.APIKeyStatus{Versions: []v1alpha1.KeyVersion{{ID: "k", State: state}}},
	}
}

// told is an answer about one version, which was used just now.
func told(name string, requests int64) *usage.Answer {
	return &usage.Answer{Now: 1000, Versions: []usage.Count{{ID: usage.ID{UID: types.UID(name), KeyID: "k"}, Requests: requests, LastUsed: 1000}}}
}

// write is what a pass does whose write succeeds.
func write(l *Ledger, key *v1alpha1.APIKey) {
	l.Observe(key)
	l.Fill(key)
	l.Observe(key)
}

func TestTotalsAreCountedOnce(t *testing.T) {
	l, _ := newLedger()
	for _, answer := range []struct {
		process  string
		requests int64
	}{
		{"r1", 5}, {"r1", 5} /* the question that came after was put twice */, {"r1", 7}, {"r2", 10},
		{"r2", 4}, // the version left its index, and came back
	} {
		l.take(answer.process, told("a", answer.requests), epoch)
	}
	if got := requestsOf(l, "a"); got != 21 {
		t.Errorf("%d", got)
	}
	l.forget("r1")
	if got := requestsOf(l, "a"); got != 21 {
		t.Errorf("%d when an auth server is gone", got)
	}
}

func TestAWriteGoesBackForNobody(t *testing.T) {
	l, _ := newLedger()
	key := keyOf("a", v1alpha1.VersionActive)
	l.Observe(key)
	l.take("r1", told("a", 5), epoch.Add(500*time.Millisecond))
	attempt := key.DeepCopy()
	l.Fill(attempt)
	if !attempt.Status.Versions[0].LastUsedTime.Time.Equal(epoch) || !attempt.Status.LastUsedTime.Time.Equal(epoch) {
		t.Fatalf("%+v", attempt.Status)
	}
	// Another manager has written a later one.
	later := ptr.To(metav1.NewTime(epoch.Add(time.Minute)))
	key.Status.LastUsedTime, key.Status.Versions[0].LastUsedTime = later, later
	l.Fill(key)
	if !key.Status.LastUsedTime.Equal(later) || !key.Status.Versions[0].LastUsedTime.Equal(later) {
		t.Errorf("%+v", key.Status)
	}
	// That of a version that is gone stays that of the APIKey.
	key.Status.Versions[0].LastUsedTime = nil
	l.Fill(key)
	if !key.Status.LastUsedTime.Equal(later) || key.Status.Versions[0].LastUsedTime == nil {
		t.Errorf("%+v", key.Status)
	}
}

func TestClocksOfTwoMachinesAreNotCompared(t *testing.T) {
	l, _ := newLedger()
	answer := told("a", 1)
	answer.Now, answer.Versions[0].LastUsed = 5_000_000, 5_000_000-61
	l.take("r1", answer, epoch)
	if got := l.Use("a", "k").LastUsed; !got.Equal(epoch.Add(-time.Minute)) {
		t.Errorf("%s", got)
	}
	answer.Versions[0].LastUsed = 9_000_000 // its clock was set back meanwhile
	l.take("r1", answer, epoch.Add(time.Second))
	if got := l.Use("a", "k").LastUsed; !got.Equal(epoch.Add(time.Second)) {
		t.Errorf("%s", got)
	}
	answer.Versions[0].LastUsed = 1
	answer.Now = math.MaxInt64
	l.take("r2", answer, epoch)
	if got := l.Use("a", "k").LastUsed; !got.Equal(epoch.Add(time.Second)) {
		t.Errorf("%s", got)
	}
}

func TestDue(t *testing.T) {
	const active, retiring = v1alpha1.VersionActive, v1alpha1.VersionRetiring
	at := func(d time.Duration) *metav1.Time { return ptr.To(metav1.NewTime(epoch.Add(d))) }
	for name, test := range map[string]struct {
		state    v1alpha1.VersionState
		used     bool
		lastUsed time.Duration
		written  *metav1.Time
		now      time.Duration
		want     bool
	}{
		"never used":                {active, false, 0, nil, time.Hour, false},
		"first use":                 {active, true, 0, nil, 0, true},
		"used again, too soon":      {active, true, 59 * time.Minute, at(0), 59 * time.Minute, false},
		"used again, an hour later": {active, true, time.Hour, at(0), time.Hour, true},
		"a last use, an hour later": {active, true, time.Minute, at(0), time.Hour, true},
		"nothing new":               {active, true, 0, at(0), 10 * time.Hour, false},
		"less than a second":        {active, true, 999 * time.Millisecond, at(0), 10 * time.Hour, false},
		"retiring, too soon":        {retiring, true, 59 * time.Second, at(0), 59 * time.Second, false},
		"retiring, a minute later":  {retiring, true, 30 * time.Second, at(0), time.Minute, true},
		"retiring, nothing new":     {retiring, true, 0, at(0), time.Hour, false},
		"a clock that was set back": {active, true, time.Minute, at(2 * time.Hour), time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := newLedger()
			key := keyOf("a", test.state)
			if test.written != nil {
				key.Status.Versions[0].LastUsedTime = test.written
			}
			l.Observe(key)
			if test.used {
				l.take("r", told("a", 7), epoch.Add(test.lastUsed))
			}
			if got := l.Due(key, epoch.Add(test.now)); got != test.want {
				t.Errorf("due: %t", got)
			}
			key.DeletionTimestamp = at(0)
			if l.Due(key, epoch.Add(test.now)) {
				t.Error("a write for an APIKey that is going")
			}
		})
	}
}

// The interval counts from the write, which is later than the use that it told of.
func TestDueCountsFromTheWrite(t *testing.T) {
	l, clock := newLedger()
	key := keyOf("a", v1alpha1.VersionActive)
	l.Observe(key)
	l.take("r", told("a", 1), epoch)
	clock.Step(15 * time.Second)
	write(l, key)
	l.take("r", told("a", 2), epoch.Add(time.Hour))
	if l.Due(key, epoch.Add(time.Hour)) {
		t.Error("two writes within an hour")
	}
	if !l.Due(key, epoch.Add(time.Hour+15*time.Second)) {
		t.Error("not due")
	}
}

func TestVersionsThatNobodyHasAreGivenUp(t *testing.T) {
	l, _ := newLedger()
	l.take("r1", told("a", 5), epoch)
	none := map[usage.ID]struct{}{}
	l.collect(none)
	if len(l.versions) != 1 {
		t.Fatal("given up although the cache may lag")
	}
	// One that exists is a stray when its APIKey goes.
	l.Observe(keyOf("b", v1alpha1.VersionActive))
	l.collect(none)
	if len(l.versions) != 1 || l.strays != 1 {
		t.Errorf("%d versions, %d strays", len(l.versions), l.strays)
	}
	l.collect(none)
	if len(l.versions) != 0 || l.strays != 0 {
		t.Errorf("%d versions, %d strays", len(l.versions), l.strays)
	}
}

func TestVersionsThatAreMadeUpAreBounded(t *testing.T) {
	l, _ := newLedger()
	l.Observe(keyOf("real", v1alpha1.VersionActive))
	refused := 0
	for i := range maxStrays + 10 {
		refused += l.take("r1", told(fmt.Sprint(i), 5), epoch)
	}
	if refused != 10 || len(l.versions) != maxStrays+1 {
		t.Errorf("%d refused, %d kept", refused, len(l.versions))
	}
	if l.take("r1", told("real", 7), epoch) != 0 || requestsOf(l, "real") != 7 {
		t.Error("a version that exists was refused")
	}
}

func TestSourcesAreAddedUp(t *testing.T) {
	l, _ := newLedger()
	key := keyOf("a", v1alpha1.VersionRetiring)
	l.Observe(key)
	for r, process := range []string{"r1", "r2"} {
		answer := told("a", 100)
		for i := range usage.MaxOrigins {
			answer.Versions[0].Sources = append(answer.Versions[0].Sources,
				usage.Source{Endpoint: "original", Gateway: fmt.Sprintf("10.0.0.%d", i+r), Requests: int64(i + 1)})
		}
		answer.Versions[0].Sources = append(answer.Versions[0].Sources, usage.Source{Requests: 3})
		l.take(process, answer, epoch)
	}
	l.forget("r2") // it handed over
	sources := l.Use("a", "k").Sources
	// 10.0.0.15 has 16+15; 10.0.0.0, with 1, has no place.
	if len(sources) != usage.MaxOrigins+1 || sources[0] != (usage.Source{Endpoint: "original", Gateway: "10.0.0.15", Requests: 31}) ||
		sources[usage.MaxOrigins] != (usage.Source{Requests: 3 + 3 + 1}) {
		t.Errorf("%+v", sources)
	}
	l.Observe(keyOf("a", v1alpha1.VersionActive)) // the rotation was undone
	if sources := l.Use("a", "k").Sources; len(sources) != usage.MaxOrigins+1 {
		t.Errorf("%+v", sources)
	}
}

func TestKeyMetricsAreBounded(t *testing.T) {
	l, _ := newLedger()
	collector := l.KeyMetrics(2)
	keys := []*v1alpha1.APIKey{keyOf("a", v1alpha1.VersionActive), keyOf("b", v1alpha1.VersionActive), keyOf("c", v1alpha1.VersionActive), keyOf("idle", v1alpha1.VersionActive)}
	for _, key := range keys[:3] {
		l.take("r", told(key.Name, 4), epoch)
	}
	for _, key := range keys {
		l.Observe(key)
	}
	want := []string{
		"apikey_usage_key_last_used_timestamp_seconds{key_id=k,name=a,namespace=team} 1772366400",
		"apikey_usage_key_last_used_timestamp_seconds{key_id=k,name=b,namespace=team} 1772366400",
		"apikey_usage_key_requests_total{key_id=k,name=a,namespace=team} 4",
		"apikey_usage_key_requests_total{key_id=k,name=b,namespace=team} 4",
		"apikey_usage_keys_over_limit{} 1",
	}
	if got := values(t, collector); !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	// The place of one that goes is free.
	for range absentRounds {
		l.collect(map[usage.ID]struct{}{{UID: "b", KeyID: "k"}: {}, {UID: "c", KeyID: "k"}: {}})
	}
	l.Observe(keys[2])
	if l.labels.taken != 2 || l.versions[usage.ID{UID: "c", KeyID: "k"}].label == nil {
		t.Errorf("%d places taken", l.labels.taken)
	}
}

func TestNoLedgerKnowsNothing(t *testing.T) {
	var g *Gatherer
	key := keyOf("a", v1alpha1.VersionActive)
	g.Book().Observe(key)
	g.Book().Fill(key)
	if g.Book().Due(key, epoch) || !g.Use("a", "k").LastUsed.IsZero() || !g.Coverage().Until.IsZero() {
		t.Error("it does")
	}
}
