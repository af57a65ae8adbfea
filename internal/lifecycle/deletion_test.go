// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"testing"

	"k8s.io/utils/ptr"
)

// deleted are the facts of an APIKey that is being deleted: observe reads no more for it.
func deleted(options ...option) *Facts {
	f := given("a:Active").with(func(f *Facts) {
		f.Key.DeletionTimestamp = ptr.To(at(0))
		f.Organization, f.Namespace, f.Secret, f.Previous = nil, Namespace{}, Place{}, Place{}
	})
	return f.with(options...)
}

func gone(ack Ack) option { return acked(Revoke, ack, "deleted uid") }

func TestDeletion(t *testing.T) {
	removed := func(f *Facts) { f.Removed = true }
	unwritable := func(f *Facts) { f.Unwritable = "code 403" }
	noRef := func(f *Facts) { f.Key.Status.SecretRef = nil }
	decide(t, map[string]row{
		"auth servers are asked before anything goes": {facts: deleted(), want: "ask revoke deleted uid"},
		"an APIKey of the same name before it counts for nothing": {
			facts: deleted(acked(Revoke, complete, "deleted earlier")), want: "ask revoke deleted uid"},

		// In milliseconds.
		"fast: nothing is said while they answer":       {facts: deleted(gone(quick)), want: "nothing"},
		"fast: when all have dropped it the Secrets go": {facts: deleted(gone(complete)), want: "Remove"},
		"also where the status names none":              {facts: deleted(gone(complete), noRef), want: "Remove"},
		"fast: then the finalizer":                      {facts: deleted(gone(complete), removed), want: "Release"},
		"fast: then nothing is left to be said":         {facts: deleted(gone(complete), removed, func(f *Facts) { f.Released = true }), want: "nothing"},
		"one without our finalizer is nothing to us":    {facts: deleted(unfinalized), want: "nothing"},

		// Longer.
		"slow: the Secrets do not wait": {facts: deleted(gone(slow)), want: "Remove"},
		"slow: then it is said who is waited for, and that they are gone": {
			facts: deleted(gone(slow), removed), want: "Status a:Active", ready: "Revoking", serving: "Revoking", stuck: "Reconciling Revoking"},
		"slow: the finalizer stays": {facts: deleted(gone(slow), noRef), want: "Status a:Active", ready: "Revoking", serving: "Revoking", stuck: "Reconciling Revoking"},
		"slow: in the end it goes":  {facts: deleted(gone(complete), removed, noRef), want: "Release"},

		// Refusals.
		"a deletion of the Secret that is refused keeps the finalizer": {
			facts: deleted(gone(complete), refused), want: "Status a:Active", ready: "SecretRefused", serving: "Revoked", stuck: "Stalled SecretRefused", again: recheckConflict},
		"refused while auth servers are slow: those are said": {
			facts: deleted(gone(slow), refused), want: "Status a:Active", ready: "Revoking", serving: "Revoking", stuck: "Reconciling Revoking"},
		"a finalizer that cannot be taken off is said": {
			facts: deleted(gone(complete), removed, unwritable), want: "Status a:Active", ready: "WriteRefused", serving: "Revoked", stuck: "Stalled WriteRefused", again: recheckConflict},
	})
}

func TestADeletionThatIsSlowSaysWhatIsGone(t *testing.T) {
	f := deleted(gone(slow), func(f *Facts) { f.Removed = true })
	plan := Decide(f)
	for kind, want := range map[string]string{"Registered": "Waiting for 1 of 3 auth servers to drop the key: east.", "Published": `Secret "agent" is deleted.`} {
		if got := condition(&plan.Status, kind).Message; got != want {
			t.Errorf("%s says %q", kind, got)
		}
	}
	if plan.Status.SecretRef != nil || len(plan.Waits) != 1 {
		t.Errorf("names %+v, waits for %v", plan.Status.SecretRef, plan.Waits)
	}
	f.Key.Status = plan.Status
	f.Removed = false
	if plan := Decide(f); described(f, &plan) != "nothing" {
		t.Errorf("the next look: %s", described(f, &plan))
	}
}

func TestWhatABackupHasBroughtIsDeletedLikeAnyOther(t *testing.T) {
	f := deleted(func(f *Facts) { f.Key.Status.UID = "earlier" })
	if plan := Decide(f); described(f, &plan) != "ask revoke deleted uid" {
		t.Error(described(f, &plan))
	}
	f.with(gone(complete), func(f *Facts) { f.Removed = true })
	if plan := Decide(f); described(f, &plan) != "Release" {
		t.Error(described(f, &plan))
	}
}
