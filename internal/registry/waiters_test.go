// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"
)

func TestWaitersWakeWhenEveryLeaseHasApplied(t *testing.T) {
	clock := testclock.NewFakePassiveClock(epoch)
	w := NewWaiters(clock)
	key := types.NamespacedName{Namespace: "team", Name: "key"}
	written := 1000
	change := func(name, applied string) []types.NamespacedName {
		written++
		lease := leaseAt(name, strconv.Itoa(written), applied)
		return w.LeaseChanged(&lease)
	}
	if wait := w.Wait(key, "mint", "100"); !wait.Worthwhile {
		t.Error("no Lease is known, and nobody was sent to look")
	}
	change("a", "90")
	change("b", "90")
	if wait := w.Wait(key, "mint", "100"); wait.Worthwhile {
		t.Error("a snapshot seemed worthwhile before anybody has applied the revision")
	}
	if got := change("a", "100"); len(got) != 0 {
		t.Errorf("woken by the first of two: %v", got)
	}
	if got := change("b", "120"); len(got) != 1 || got[0] != key {
		t.Errorf("not woken by the last of two: %v", got)
	}
	if wait := w.Wait(key, "mint", "100"); !wait.Worthwhile || wait.MinResourceVersion != "1004" {
		t.Errorf("all have applied the revision, and it is not worthwhile to ask, or not from the last of them on: %+v", wait)
	}
	w.Done(key)
	if got := change("a", "130"); len(got) != 0 {
		t.Errorf("woken after it was done: %v", got)
	}
}

func TestWaitersPassOverTheSilentAndLoseWhoHasGone(t *testing.T) {
	clock := testclock.NewFakePassiveClock(epoch)
	w := NewWaiters(clock)
	key := types.NamespacedName{Name: "key"}
	dead, alive := leaseAt("dead", "1", "90"), leaseAt("alive", "1", "90")
	w.LeaseChanged(&dead)
	w.Wait(key, "mint", "100")
	clock.SetTime(epoch.Add(5 * time.Second))
	alive.Annotations[annotationAppliedAPIKeys] = "100"
	if got := w.LeaseChanged(&alive); len(got) != 1 {
		t.Error("a dead Lease keeps the living from waking anybody")
	}
	alive.Annotations[annotationAppliedAPIKeys] = "95"
	w.LeaseChanged(&alive)
	if got := w.LeaseGone(types.NamespacedName{Namespace: "system", Name: "alive"}); len(got) != 1 {
		t.Error("nobody was woken when the last that was waited for has left")
	}
}

func TestWaitersLoseThePatience(t *testing.T) {
	clock := testclock.NewFakePassiveClock(epoch)
	w := NewWaiters(clock)
	key := types.NamespacedName{Name: "key"}
	slow := leaseAt("slow", "1", "0")
	w.LeaseChanged(&slow)
	if wait := w.Wait(key, "mint", "100"); wait.Worthwhile {
		t.Error("a snapshot seemed worthwhile at once")
	}
	clock.SetTime(epoch.Add(Patience))
	wait := w.Wait(key, "mint", "101")
	if !wait.Worthwhile || wait.MinResourceVersion != "" {
		t.Errorf("a wait that lasts is not worthwhile, or has a minimum resourceVersion: %+v", wait)
	}
	if wait.Revision != "100" || !wait.Since.Equal(epoch) {
		t.Errorf("a wait for revision 100 has become %+v", wait)
	}
	if wait = w.Wait(key, "revoke", "102"); wait.Revision != "102" || wait.Worthwhile {
		t.Errorf("another wait is %+v", wait)
	}
}

func TestAMinimumResourceVersionIsAfterTheChange(t *testing.T) {
	w := NewWaiters(testclock.NewFakePassiveClock(epoch))
	forged := leaseAt("a", "900", "999999")
	w.LeaseChanged(&forged)
	if wait := w.Wait(types.NamespacedName{Name: "k"}, "revoke", "1000"); wait.MinResourceVersion != "" || !wait.Worthwhile {
		t.Errorf("a Lease from before the change vouches for a list: %+v", wait)
	}
	forged.ResourceVersion = "1001"
	w.LeaseChanged(&forged)
	if wait := w.Wait(types.NamespacedName{Name: "k"}, "revoke", "1000"); wait.MinResourceVersion != "1001" {
		t.Errorf("a Lease from after the change does not vouch for a list: %+v", wait)
	}
}

func TestAnObjectWaitsForSeveralPurposes(t *testing.T) {
	clock := testclock.NewFakePassiveClock(epoch)
	w := NewWaiters(clock)
	key := types.NamespacedName{Name: "key"}
	slow := leaseAt("slow", "1", "90")
	w.LeaseChanged(&slow)
	w.Wait(key, "mint", "100")
	w.Wait(key, "prune", "110")
	if wait := w.Wait(key, "mint", "120"); wait.Revision != "100" {
		t.Errorf("another purpose has a wait for revision 100 become %+v", wait)
	}
	w.Keep(key, "prune")
	slow.ResourceVersion, slow.Annotations[annotationAppliedAPIKeys] = "2", "105"
	if got := w.LeaseChanged(&slow); len(got) != 0 {
		t.Errorf("woken for a purpose that is over: %v", got)
	}
	slow.ResourceVersion, slow.Annotations[annotationAppliedAPIKeys] = "3", "110"
	if got := w.LeaseChanged(&slow); len(got) != 1 {
		t.Errorf("not woken for the purpose that was kept: %v", got)
	}
	if w.Keep(key); len(w.waits) != 0 {
		t.Error("a wait without a purpose is remembered")
	}
}
