// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"strings"
	"testing"
	"time"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func TestHowLongTheNextKeyIsPutOff(t *testing.T) {
	for name, test := range map[string]struct {
		count int32
		ago   time.Duration
		want  time.Duration
	}{
		"never lost":                    {0, 0, 0},
		"lost once":                     {1, 0, 0},
		"twice":                         {2, 0, time.Second},
		"three times":                   {3, 0, 2 * time.Second},
		"three times, a while ago":      {3, 1500 * time.Millisecond, 500 * time.Millisecond},
		"three times, long ago":         {3, time.Hour, 0},
		"eleven times":                  {11, 0, 512 * time.Second},
		"twelve times":                  {12, 0, 10 * time.Minute},
		"any number of times":           {1<<31 - 1, 0, 10 * time.Minute},
		"after the clock was set back":  {4, -time.Hour, 4 * time.Second},
		"often, after a clock was back": {100, -time.Hour, 10 * time.Minute},
	} {
		if got := backOffLeft(test.count, noon.Add(-test.ago), noon); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestDriftIsForgottenWhenTheSecretIsLeftAlone(t *testing.T) {
	d := &decision{Facts: given("")}
	for _, step := range []struct {
		after time.Duration
		count int32
	}{{0, 1}, {0, 2}, {time.Second, 3}, {10 * time.Minute, 4}, {20*time.Minute - time.Second, 5}, {20 * time.Minute, 1}, {-time.Hour, 2}} {
		d.Now = d.Now.Add(step.after)
		if d.noteDrift(idOf("a")); d.next.Drift.Count != step.count || d.next.Drift.LostKeyID != idOf("a") {
			t.Fatalf("after %s: %+v, want %d", step.after, d.next.Drift, step.count)
		}
	}
}

// Whoever deletes the Secret as fast as they can costs the manager some keys, and not one
// for each time.
func TestAWriterAtFullSpeedCostsSomeKeys(t *testing.T) {
	f := given("a:Active")
	minted := map[time.Duration]int{}
	for elapsed := time.Duration(0); elapsed <= 24*time.Hour; elapsed += 100 * time.Millisecond {
		if active(&f.Key.Status) == nil && backOffLeft(f.Key.Status.Drift.Count, f.Key.Status.Drift.LastTime.Time, noon.Add(elapsed)) > 0 {
			continue // Nothing is decided before that.
		}
		f.with(noSecret, live, fresh("n"))
		f.Now = noon.Add(elapsed)
		plan := Decide(f)
		if pending(&plan.Status) == nil {
			f.Key.Status = plan.Status
			continue
		}
		for _, within := range []time.Duration{20 * time.Second, time.Hour, 24 * time.Hour} {
			if elapsed <= within {
				minted[within]++
			}
		}
		// It is published at once, and the Secret deleted again; the others are dropped.
		f.Key.Status = plan.Status
		f.Key.Status.Versions = versionsOf("n:Active")
	}
	if minted[20*time.Second] > 6 || minted[time.Hour] > 18 || minted[24*time.Hour] > 160 || minted[24*time.Hour] < 100 {
		t.Errorf("minted, by time: %v", minted)
	}
}

// Somebody undoes a repair at once, for a minute.
func TestRepairsAreMadeLaterAndLater(t *testing.T) {
	f := given("a:Active", secret(edited), live)
	writes := 0
	for range 600 {
		if plan := Decide(f); plan.Step == StepSecret {
			writes++
			f.Repairs.Main.Written(plan.Secret.Form, f.Now)
		}
		f.with(later(100 * time.Millisecond))
	}
	if writes < 5 || writes > 8 {
		t.Errorf("%d writes in a minute", writes)
	}
	f.Key.Generation++
	f.with(applied(complete))
	f.Key.Status = Decide(f).Status
	if plan := Decide(f); described(f, &plan) != "Secret a" {
		t.Errorf("what the spec asks for now: %s", described(f, &plan))
	}
}

// Whoever may write a Secret may mark it as often as they like.
func TestKeysAreGivenUpLaterAndLater(t *testing.T) {
	f := given("a:Active b:Pending", minted("b"), loaded("b", complete), marked("b"), live)
	for _, wait := range []time.Duration{0, driftDelay, 2 * driftDelay, 4 * driftDelay} {
		if plan := Decide(f); wait > 0 && (plan.Ask.Digest || plan.Again != wait) {
			t.Errorf("looks again after %s instead of %s", plan.Again, wait)
		}
		f.with(later(wait))
		if plan := Decide(f); !plan.Ask.Digest {
			t.Fatalf("after %s: %s", wait, described(f, &plan))
		}
		f.Repairs.GivenUp, f.Repairs.GaveUp = Another(f.Repairs.GivenUp, f.Repairs.GaveUp, f.Now), f.Now
	}
}

func TestPuttingOffIsSaidOnce(t *testing.T) {
	f := given("a:Active", noSecret, live, drifted(3, time.Minute, ""))
	plan := Decide(f)
	published := condition(&plan.Status, v1alpha1.ConditionPublished)
	if published.Reason != v1alpha1.ReasonDriftBackOff || !strings.Contains(published.Message, "4 times in a row. The next key is minted at 2026-01-02T12:00:04Z.") {
		t.Errorf("says %+v", published)
	}
	f.Key.Status = plan.Status
	f.with(dropped("a", quick), later(time.Second))
	if plan := Decide(f); described(f, &plan) != "nothing" || plan.Again != time.Second {
		t.Errorf("a second later: %s, looks again after %s", described(f, &plan), plan.Again)
	}
}
