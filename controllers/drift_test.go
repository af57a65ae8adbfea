// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func TestHowLongTheNextKeyIsPutOff(t *testing.T) {
	lost := func(count int32, ago time.Duration) *v1alpha1.DriftStatus {
		return &v1alpha1.DriftStatus{Count: count, LastTime: metav1.NewTime(noon.Add(-ago))}
	}
	for name, test := range map[string]struct {
		drift *v1alpha1.DriftStatus
		want  time.Duration
	}{
		"never lost":                    {nil, 0},
		"lost once":                     {lost(1, 0), 0},
		"twice":                         {lost(2, 0), time.Second},
		"three times":                   {lost(3, 0), 2 * time.Second},
		"three times, a while ago":      {lost(3, 1500*time.Millisecond), 500 * time.Millisecond},
		"three times, long ago":         {lost(3, time.Hour), 0},
		"eleven times":                  {lost(11, 0), 512 * time.Second},
		"twelve times":                  {lost(12, 0), 10 * time.Minute},
		"any number of times":           {lost(1<<31-1, 0), 10 * time.Minute},
		"after the clock was set back":  {lost(4, -time.Hour), 4 * time.Second},
		"often, after a clock was back": {lost(100, -time.Hour), 10 * time.Minute},
	} {
		if got := driftWait(test.drift, noon); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestDriftIsForgottenWhenTheSecretIsLeftAlone(t *testing.T) {
	p := &pass{key: testKey()}
	for _, step := range []struct {
		after time.Duration
		count int32
	}{{0, 1}, {0, 2}, {time.Second, 3}, {10 * time.Minute, 4}, {20*time.Minute - time.Second, 5}, {20 * time.Minute, 1}, {-time.Hour, 2}} {
		p.now = p.now.Add(step.after)
		if p.now.Year() < 2026 {
			p.now = noon
		}
		if p.noteDrift("0123456789ab"); p.key.Status.Drift.Count != step.count {
			t.Fatalf("after %s: %+v, want %d", step.after, p.key.Status.Drift, step.count)
		}
	}
}

// Whoever writes the Secret as fast as they can costs the manager some keys, and not one
// for each write.
func TestAWriterAtFullSpeedCostsSomeKeys(t *testing.T) {
	p := &pass{key: testKey(), now: noon}
	minted := map[time.Duration]int{}
	working := true
	for elapsed := time.Duration(0); elapsed <= 24*time.Hour; elapsed += 100 * time.Millisecond {
		p.now = noon.Add(elapsed)
		if working {
			p.noteDrift("0123456789ab")
			working = false
		}
		if driftWait(p.key.Status.Drift, p.now) == 0 {
			working = true
			for _, within := range []time.Duration{20 * time.Second, time.Hour, 24 * time.Hour} {
				if elapsed <= within {
					minted[within]++
				}
			}
		}
	}
	t.Log(minted)
	if minted[20*time.Second] > 6 || minted[time.Hour] > 18 || minted[24*time.Hour] > 160 {
		t.Errorf("minted, by time: %v", minted)
	}
}

func TestARepairIsPutOffWhenItWasMadeBefore(t *testing.T) {
	clock := clocktesting.NewFakeClock(noon)
	r := newRepairs(clock)
	writes := 0
	// Somebody undoes it at once, for a minute.
	for range 600 {
		if r.wait("a", "one form", clock.Now()) == 0 {
			r.note("a", "one form", clock.Now())
			writes++
		}
		clock.Step(100 * time.Millisecond)
	}
	if writes < 5 || writes > 8 {
		t.Errorf("%d writes in a minute", writes)
	}
	if wait := r.wait("a", "another form", clock.Now()); wait != 0 {
		t.Errorf("what the spec asks for now waits %s", wait)
	}
	if r.note("a", "another form", clock.Now()) {
		t.Error("another form is a repair")
	}
	if wait := r.wait("b", "one form", clock.Now()); wait != 0 {
		t.Errorf("another APIKey waits %s", wait)
	}
	r.note("a", "another form", clock.Now())
	if r.wait("a", "another form", clock.Now()) == 0 {
		t.Error("the second repair does not wait")
	}
	r.forget("a")
	if r.wait("a", "another form", clock.Now()) != 0 {
		t.Error("it is remembered after its APIKey is gone")
	}
}

// Whoever may write a Secret may mark it as often as they like.
func TestKeysAreGivenUpLaterAndLater(t *testing.T) {
	clock := clocktesting.NewFakeClock(noon)
	r := newRepairs(clock)
	const uid = "1"
	for _, wait := range []time.Duration{driftDelay, 2 * driftDelay, 4 * driftDelay} {
		if got := r.giveUp(uid, clock.Now()); got != 0 {
			t.Fatalf("waits %s when the time has come", got)
		}
		clock.Step(wait - time.Millisecond)
		if got := r.giveUp(uid, clock.Now()); got != wait {
			t.Errorf("waits %s instead of %s", got, wait)
		}
		clock.Step(2 * time.Millisecond)
	}
	r.forget(uid)
	if got := r.giveUp(uid, clock.Now()); got != 0 {
		t.Errorf("waits %s after it was forgotten", got)
	}
}
