// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

func TestALeaseSpeaksOfItsHolderOnly(t *testing.T) {
	writer := leaseWriter{namespace: "system", name: "a", holder: "dead_7", maxStaleness: 10 * time.Second, suspectAfter: 4 * time.Second}
	writer.usage = func() usageNotice { return usageNotice{address: "10.0.0.1:8443", pin: "ab", final: true} }
	left := writer.join(nil, epoch)
	if got, want := UsageSourceOf(left), (UsageSource{Name: "a", Process: "dead", Address: "10.0.0.1:8443", Pin: "ab", Final: true}); got != want {
		t.Fatalf("%+v", got)
	}
	writer.holder = "next_1"
	writer.usage = func() usageNotice { return usageNotice{address: "10.0.0.1:8443", pin: "cd"} }
	if got, want := UsageSourceOf(writer.join(left, epoch)), (UsageSource{Name: "a", Process: "next", Address: "10.0.0.1:8443", Pin: "cd"}); got != want {
		t.Errorf("%+v", got)
	}
	writer.usage = nil
	if got, want := UsageSourceOf(writer.join(left, epoch)), (UsageSource{Name: "a", Process: "next"}); got != want {
		t.Errorf("%+v", got)
	}
}

// The counters outlive the index, follow an APIKey through its changes, and are given
// back when a version is not accepted any more.
func TestGrantsHaveCounters(t *testing.T) {
	clock := testclock.NewFakePassiveClock(epoch)
	table := usage.NewTable(clock)
	begin := func() *index {
		ix := newIndex(table)
		ix.applyOrganization("acme", organizationOf(acme("1")))
		return ix
	}
	counterOf := func(ix *index, secret string) *usage.Counter {
		grant, _ := ix.lookup(digestOf(secret)).judge(epoch)
		return grant.Counter
	}
	retiring := func(k *v1alpha1.APIKey) { k.Status.Versions[0].State = v1alpha1.VersionRetiring }
	ix := begin()
	ix.apply(claimOf(apiKey("a", "1", "s")))
	first := counterOf(ix, "s")
	if first == nil || first.Watched() {
		t.Fatal("no counter, or one that asks where requests come from")
	}
	ix.apply(claimOf(apiKey("a", "2", "s", retiring)))
	if counterOf(ix, "s") != first || !first.Watched() {
		t.Error("another counter, or one that does not ask where requests come from")
	}
	next := begin() // a new session, while requests are judged by the old one
	next.apply(claimOf(apiKey("a", "2", "s", retiring)))
	ix.discard()
	if counterOf(next, "s") != first {
		t.Error("the counter went with the session")
	}
	first.Count(epoch)
	// An older APIKey has the same hash: what it counts is its own.
	next.apply(claimOf(apiKey("0", "3", "s")))
	if other := counterOf(next, "s"); other == first || other == nil {
		t.Error("two APIKeys share a counter")
	}
	next.remove(types.UID("0"))
	if counterOf(next, "s") != nil {
		t.Error("accepted after it is gone")
	}
	answer := table.Answer(&usage.Question{})
	if counts := answer.Versions; len(counts) != 1 || counts[0].UID != "a" || counts[0].Requests != 1 {
		t.Errorf("%+v", counts)
	}
	// Everything was given back: what is taken may go.
	clock.SetTime(epoch.Add(time.Hour))
	table.Answer(&usage.Question{Since: answer.Scan})
	if size := table.Size(); size != 0 {
		t.Errorf("%d counters are left", size)
	}
}
