// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/scope"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func digestOf(text string) keys.Digest { return sha256.Sum256([]byte(text)) }

// apiKey returns an APIKey that is accepted and has one active version.
func apiKey(name, revision, secret string, change ...func(*v1alpha1.APIKey)) *v1alpha1.APIKey {
	digest := digestOf(secret)
	key := &v1alpha1.APIKey{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team", Name: name, UID: types.UID(name), ResourceVersion: revision,
			CreationTimestamp: metav1.NewTime(epoch), Generation: 1,
		},
		Spec: v1alpha1.APIKeySpec{OrganizationRef: v1alpha1.OrganizationReference{Name: "acme"}},
		Status: v1alpha1.APIKeyStatus{
			AppliedGeneration: 1, Acceptance: v1alpha1.AcceptanceAccepted,
			OrganizationID: "acme-id",
			Versions: []v1alpha1.KeyVersion{{
				ID: digest.KeyID(), SHA256: digest.String(), State: v1alpha1.VersionActive, RegistrationTime: metav1.NewTime(epoch),
			}},
		},
	}
	for _, f := range change {
		f(key)
	}
	if key.Status.UID == "" {
		key.Status.UID = key.UID
	}
	return key
}

func acme(revision string, change ...func(*v1alpha1.Organization)) *v1alpha1.Organization {
	org := &v1alpha1.Organization{
		ObjectMeta: metav1.ObjectMeta{Name: "acme", ResourceVersion: revision},
		Spec:       v1alpha1.OrganizationSpec{ID: "acme-id", Namespaces: v1alpha1.NamespacePolicy{Selector: &metav1.LabelSelector{}}},
	}
	for _, f := range change {
		f(org)
	}
	return org
}

func indexWith(org *v1alpha1.Organization, apiKeys ...*v1alpha1.APIKey) *index {
	ix := newIndex(nil)
	if org != nil {
		ix.applyOrganization(org.Name, organizationOf(org))
	}
	for _, key := range apiKeys {
		ix.apply(claimOf(key))
	}
	return ix
}

func verdictAt(ix *index, secret string, at time.Time) Verdict {
	_, verdict := ix.lookup(digestOf(secret)).judge(at)
	return verdict
}

func acceptance(a v1alpha1.Acceptance) func(*v1alpha1.APIKey) {
	return func(k *v1alpha1.APIKey) { k.Status.Acceptance = a }
}

func inState(state v1alpha1.VersionState) func(*v1alpha1.APIKey) {
	return func(k *v1alpha1.APIKey) { k.Status.Versions[0].State = state }
}

func createdBefore(d time.Duration) func(*v1alpha1.APIKey) {
	return func(k *v1alpha1.APIKey) { k.CreationTimestamp = metav1.NewTime(epoch.Add(-d)) }
}

func registeredBefore(d time.Duration) func(*v1alpha1.APIKey) {
	return func(k *v1alpha1.APIKey) { k.Status.Versions[0].RegistrationTime = metav1.NewTime(epoch.Add(-d)) }
}

func maxKeyAge(d time.Duration) func(*v1alpha1.Organization) {
	return func(o *v1alpha1.Organization) { o.Spec.MaxKeyAge = &metav1.Duration{Duration: d} }
}

func TestIndexJudges(t *testing.T) {
	deleted := func(k *v1alpha1.APIKey) { k.DeletionTimestamp = &metav1.Time{Time: epoch} }
	for name, test := range map[string]struct {
		key  *v1alpha1.APIKey
		org  *v1alpha1.Organization
		want Verdict
	}{
		"accepts an active version": {apiKey("a", "1", "s"), acme("1"), Accepted},
		"accepts a pending version, for the Secret may be there before the status says so": {
			apiKey("a", "1", "s", func(k *v1alpha1.APIKey) { k.Status.Versions[0].State = v1alpha1.VersionPending }), acme("1"), Accepted},
		"refuses a version in a state that it does not know": {
			apiKey("a", "1", "s", func(k *v1alpha1.APIKey) { k.Status.Versions[0].State = "Archived" }), acme("1"), Unknown},
		"accepts a version that was replaced and is not revoked yet": {apiKey("a", "1", "s", inState(v1alpha1.VersionRetiring)), acme("1"), Accepted},
		"refuses a version that was revoked while its APIKey lives on": {
			apiKey("a", "1", "s", inState(v1alpha1.VersionRevoked)), acme("1"), Unknown},
		"refuses a key whose time to live is over, from the very second": {
			apiKey("a", "1", "s", createdBefore(time.Hour), func(k *v1alpha1.APIKey) { k.Spec.TTL = &metav1.Duration{Duration: time.Hour} }), acme("1"), Expired},
		"accepts a key whose time to live is over in a second": {
			apiKey("a", "1", "s", createdBefore(time.Hour-time.Second), func(k *v1alpha1.APIKey) { k.Spec.TTL = &metav1.Duration{Duration: time.Hour} }), acme("1"), Accepted},
		"refuses a version of the age that its organization does not permit": {
			apiKey("a", "1", "s", registeredBefore(time.Hour)), acme("1", maxKeyAge(time.Hour)), Expired},
		"accepts a version that reaches that age in a second": {
			apiKey("a", "1", "s", registeredBefore(time.Hour-time.Second)), acme("1", maxKeyAge(time.Hour)), Accepted},
		"refuses a key that is being deleted": {apiKey("a", "1", "s", deleted), acme("1"), Unknown},
		"refuses a suspended key": {
			apiKey("a", "1", "s", func(k *v1alpha1.APIKey) { k.Spec.Suspend = true }), acme("1"), Unknown},
		"refuses a key that the manager has said nothing about": {apiKey("a", "1", "s", acceptance("")), acme("1"), Unknown},
		"refuses a key of which the manager says what it does not know": {
			apiKey("a", "1", "s", acceptance("Paused")), acme("1"), Unknown},
		"refuses a key that was withdrawn": {apiKey("a", "1", "s", acceptance(v1alpha1.AcceptanceWithdrawn)), acme("1"), Unknown},
		"refuses a key that the manager's clock found expired, and says so": {
			apiKey("a", "1", "s", acceptance(v1alpha1.AcceptanceExpired), func(k *v1alpha1.APIKey) {
				k.Spec.ExpirationTime = &metav1.Time{Time: epoch.Add(time.Hour)}
			}), acme("1"), Expired},
		"refuses a key that expired and is suspended, as any other": {
			apiKey("a", "1", "s", acceptance(v1alpha1.AcceptanceExpired), func(k *v1alpha1.APIKey) { k.Spec.Suspend = true }), acme("1"), Unknown},
		"refuses a key that expired and is being deleted, as any other": {
			apiKey("a", "1", "s", acceptance(v1alpha1.AcceptanceExpired), deleted), acme("1"), Unknown},
		"goes by no condition": {
			apiKey("a", "1", "s", func(k *v1alpha1.APIKey) {
				k.Status.Conditions = []metav1.Condition{
					{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonExpired},
					{Type: v1alpha1.ConditionPermitted, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNamespaceNotPermitted},
					{Type: v1alpha1.ConditionRegistered, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonRevoked},
				}
			}), acme("1"), Accepted},
		"refuses an expired key, from the very second": {
			apiKey("a", "1", "s", func(k *v1alpha1.APIKey) { k.Spec.ExpirationTime = &metav1.Time{Time: epoch} }), acme("1"), Expired},
		"refuses a key of a status that was copied from another APIKey": {
			apiKey("a", "1", "s", func(k *v1alpha1.APIKey) { k.Status.UID = "b" }), acme("1"), Unknown},
		"refuses a key of a status that says not whose it is": {
			func() *v1alpha1.APIKey { k := apiKey("a", "1", "s"); k.Status.UID = ""; return k }(), acme("1"), Unknown},
		"refuses a key whose ttl has passed, from the very second": {
			apiKey("a", "1", "s", func(k *v1alpha1.APIKey) {
				k.CreationTimestamp, k.Spec.TTL = metav1.Time{Time: epoch.Add(-time.Hour)}, &metav1.Duration{Duration: time.Hour}
			}), acme("1"), Expired},
		"accepts a key whose ttl passes in a moment": {
			apiKey("a", "1", "s", func(k *v1alpha1.APIKey) {
				k.CreationTimestamp, k.Spec.TTL = metav1.Time{Time: epoch.Add(-time.Hour)}, &metav1.Duration{Duration: time.Hour + 1}
			}), acme("1"), Accepted},
		"accepts a key that expires in a second": {
			apiKey("a", "1", "s", func(k *v1alpha1.APIKey) { k.Spec.ExpirationTime = &metav1.Time{Time: epoch.Add(time.Second)} }), acme("1"), Accepted},
		"refuses a key without its organization": {apiKey("a", "1", "s"), nil, Unknown},
		"refuses a key of a suspended organization": {
			apiKey("a", "1", "s"), acme("1", func(o *v1alpha1.Organization) { o.Spec.Suspend = true }), Unknown},
		"refuses a key of an organization that is being deleted": {
			apiKey("a", "1", "s"), acme("1", func(o *v1alpha1.Organization) { o.DeletionTimestamp = &metav1.Time{Time: epoch} }), Unknown},
		"refuses a key whose organization came back with another id": {
			apiKey("a", "1", "s"), acme("1", func(o *v1alpha1.Organization) { o.Spec.ID = "other" }), Unknown},
		"passes over a hash that cannot be read": {
			apiKey("a", "1", "s", func(k *v1alpha1.APIKey) { k.Status.Versions[0].SHA256 = "zz" }), acme("1"), Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			grant, got := indexWith(test.org, test.key).lookup(digestOf("s")).judge(epoch)
			if got != test.want {
				t.Errorf("got verdict %d, want %d", got, test.want)
			}
			owner := Grant{}
			if got == Accepted || got == Expired {
				owner = Grant{KeyID: digestOf("s").KeyID(), Namespace: "team", Name: "a", Organization: "acme-id"}
			}
			if got == Accepted {
				owner.Scopes = grant.Scopes
			}
			if grant != owner {
				t.Errorf("got %+v, want %+v", grant, owner)
			}
		})
	}
}

func TestGrantHasTheScopesOfBothKeyAndOrganization(t *testing.T) {
	key := apiKey("a", "1", "s", func(k *v1alpha1.APIKey) {
		k.Spec.Scopes = []v1alpha1.Scope{v1alpha1.ScopeIngest, v1alpha1.ScopeQuery}
	})
	org := acme("1", func(o *v1alpha1.Organization) {
		o.Spec.Scopes = []v1alpha1.Scope{v1alpha1.ScopeQuery, v1alpha1.ScopeHeartbeats}
	})
	grant, verdict := indexWith(org, key).lookup(digestOf("s")).judge(epoch)
	want := Grant{KeyID: digestOf("s").KeyID(), Namespace: "team", Name: "a", Organization: "acme-id", Scopes: scope.Of(v1alpha1.ScopeQuery)}
	if verdict != Accepted || grant != want {
		t.Errorf("got %+v, verdict %d, want %+v", grant, verdict, want)
	}
}

// What a list keeps of an APIKey makes the claim that all of it would have made.
func TestATrimmedAPIKeyMakesTheSameClaim(t *testing.T) {
	used := metav1.NewTime(epoch)
	full := apiKey("a", "7", "s", func(k *v1alpha1.APIKey) {
		k.Labels, k.Annotations = map[string]string{"a": "b"}, map[string]string{"a": "b"}
		k.Spec.Description = "of the team"
		k.Spec.Scopes = []v1alpha1.Scope{v1alpha1.ScopeQuery}
		k.Spec.TTL = &metav1.Duration{Duration: time.Hour}
		k.Spec.Rotation.Overlap.Max = &metav1.Duration{Duration: time.Minute}
		k.Spec.RevokedKeyIDs = []string{digestOf("revoked").KeyID()}
		for secret, state := range map[string]v1alpha1.VersionState{
			"revoked": v1alpha1.VersionActive, "retiring": v1alpha1.VersionRetiring, "imported": v1alpha1.VersionPending,
		} {
			digest := digestOf(secret)
			k.Status.Versions = append(k.Status.Versions, v1alpha1.KeyVersion{
				ID: digest.KeyID(), SHA256: digest.String(), State: state, RegistrationTime: metav1.NewTime(epoch), LastUsedTime: &used,
			})
		}
		imported := &k.Status.Versions[slices.IndexFunc(k.Status.Versions, func(v v1alpha1.KeyVersion) bool { return v.ID == digestOf("imported").KeyID() })]
		imported.Origin = v1alpha1.OriginImported
		k.Spec.ImportedKeys = []v1alpha1.ImportedKey{{SHA256: imported.SHA256, Description: "of before"}}
		k.Status.KeyID, k.Status.LastUsedTime = digestOf("s").KeyID(), &used
		k.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Message: "long"}}
	})
	whole := claimOf(full)
	if len(whole.versions) != 3 {
		t.Fatalf("%+v", whole.versions)
	}
	trim(full)
	if got := claimOf(full); !reflect.DeepEqual(got, whole) {
		t.Errorf("got %+v, want %+v", got, whole)
	}
	if full.Status.Conditions != nil || full.Spec.Description != "" || full.Spec.ImportedKeys[0].Description != "" {
		t.Errorf("it keeps what no claim needs: %+v", full)
	}
}

func TestIndexKeepsTheLatestOfEachAPIKey(t *testing.T) {
	ix := indexWith(acme("1"), apiKey("a", "9", "old"))
	if taken, reduces := ix.apply(claimOf(apiKey("a", "10", "new"))); !taken || !reduces {
		t.Errorf("a later revision with another hash: taken %t, reduces %t", taken, reduces)
	}
	if taken, _ := ix.apply(claimOf(apiKey("a", "9", "old"))); taken {
		t.Error("an event that came late was taken")
	}
	if taken, _ := ix.apply(claimOf(apiKey("a", "10", "old"))); taken {
		t.Error("an event that came twice was taken")
	}
	if verdictAt(ix, "old", epoch) != Unknown || verdictAt(ix, "new", epoch) != Accepted {
		t.Error("the index does not hold the later revision")
	}
}

func TestAnAPIKeyMadeAnewIsAnother(t *testing.T) {
	ix := indexWith(acme("1"), apiKey("a", "5", "first"))
	second := apiKey("a", "9", "second", func(k *v1alpha1.APIKey) { k.UID = "another" })
	ix.apply(claimOf(second))
	// The end of the first comes late.
	ix.remove("a")
	if verdictAt(ix, "first", epoch) != Unknown || verdictAt(ix, "second", epoch) != Accepted {
		t.Error("the end of the first took the second with it, or left the first")
	}
}

func TestAVersionEndsWhileTheOthersOfItsAPIKeyWork(t *testing.T) {
	versions := func(states map[string]v1alpha1.VersionState) func(*v1alpha1.APIKey) {
		return func(k *v1alpha1.APIKey) {
			k.Status.Versions = nil
			for _, secret := range []string{"old", "new"} {
				if state, ok := states[secret]; ok {
					digest := digestOf(secret)
					k.Status.Versions = append(k.Status.Versions, v1alpha1.KeyVersion{
						ID: digest.KeyID(), SHA256: digest.String(), State: state, RegistrationTime: metav1.NewTime(epoch),
					})
				}
			}
		}
	}
	ix := indexWith(acme("1"))
	for i, step := range []struct {
		states   map[string]v1alpha1.VersionState
		old, new Verdict
		reduces  bool
		awaited  bool
	}{
		{map[string]v1alpha1.VersionState{"old": "Active"}, Accepted, Unknown, false, false},
		{map[string]v1alpha1.VersionState{"old": "Active", "new": "Pending"}, Accepted, Accepted, false, true},
		{map[string]v1alpha1.VersionState{"old": "Retiring", "new": "Active"}, Accepted, Accepted, false, false},
		{map[string]v1alpha1.VersionState{"old": "Revoked", "new": "Active"}, Unknown, Accepted, true, true},
		{map[string]v1alpha1.VersionState{"new": "Active"}, Unknown, Accepted, false, false},
	} {
		c := claimOf(apiKey("a", fmt.Sprint(i+1), "unused", versions(step.states)))
		if c.awaited != step.awaited {
			t.Errorf("step %d: awaited %t, want %t", i, c.awaited, step.awaited)
		}
		if _, reduces := ix.apply(c); reduces != step.reduces {
			t.Errorf("step %d: reduces %t, want %t", i, reduces, step.reduces)
		}
		if verdict := verdictAt(ix, "old", epoch); verdict != step.old {
			t.Errorf("step %d: the old key: verdict %d, want %d", i, verdict, step.old)
		}
		if verdict := verdictAt(ix, "new", epoch); verdict != step.new {
			t.Errorf("step %d: the new key: verdict %d, want %d", i, verdict, step.new)
		}
	}
}

func TestOneHashUnderTwoAPIKeysIsTheOlders(t *testing.T) {
	older := apiKey("older", "5", "s")
	younger := apiKey("younger", "3", "s", func(k *v1alpha1.APIKey) {
		k.CreationTimestamp = metav1.NewTime(epoch.Add(time.Second))
	})
	for name, order := range map[string][]*v1alpha1.APIKey{
		"older first": {older, younger}, "younger first": {younger, older},
	} {
		t.Run(name, func(t *testing.T) {
			ix := indexWith(acme("1"), order...)
			if grant, _ := ix.lookup(digestOf("s")).judge(epoch); grant.Name != "older" {
				t.Errorf("served as %q", grant.Name)
			}
			ix.remove("younger")
			if verdictAt(ix, "s", epoch) != Accepted {
				t.Error("the end of the younger took the older's key")
			}
			ix.remove("older")
			if verdictAt(ix, "s", epoch) != Unknown {
				t.Error("a revoked hash is still accepted")
			}
		})
	}
}

func TestReplaceLeavesExactlyTheList(t *testing.T) {
	ix := indexWith(acme("1"), apiKey("gone", "2", "gone"), apiKey("stays", "3", "stays"))
	ix.replace([]claim{claimOf(apiKey("stays", "3", "stays")), claimOf(apiKey("new", "4", "new"))})
	for secret, want := range map[string]Verdict{"gone": Unknown, "stays": Accepted, "new": Accepted} {
		if got := verdictAt(ix, secret, epoch); got != want {
			t.Errorf("%s: verdict %d, want %d", secret, got, want)
		}
	}
	ix.replaceOrganizations(nil)
	if verdictAt(ix, "stays", epoch) != Unknown {
		t.Error("a key is accepted without its organization")
	}
	ix.replaceOrganizations(map[string]organization{"acme": organizationOf(acme("7"))})
	if verdictAt(ix, "stays", epoch) != Accepted {
		t.Error("a key is not accepted when its organization came back")
	}
}

func TestRepair(t *testing.T) {
	ix := indexWith(acme("1"),
		apiKey("lost-update", "2", "before"), apiKey("lost-delete", "3", "dead"), apiKey("same", "4", "same"), apiKey("newer", "20", "newer"))
	before := ix.beginComparison()
	listed := []claim{
		claimOf(apiKey("lost-update", "8", "after")), claimOf(apiKey("same", "4", "same")),
		claimOf(apiKey("lost-add", "9", "added")), claimOf(apiKey("newer", "15", "older")), claimOf(apiKey("removed", "5", "removed")),
	}
	// Meanwhile the feed goes on: one comes, and one that the list has is deleted.
	ix.apply(claimOf(apiKey("arrived", "30", "arrived")))
	ix.remove("removed")
	repairs := ix.repair(listed, before)
	ix.endComparison()
	if repairs != 3 {
		t.Errorf("%d repairs, want 3", repairs)
	}
	for secret, want := range map[string]Verdict{
		"before": Unknown, "after": Accepted, "dead": Unknown, "same": Accepted, "added": Accepted,
		"newer": Accepted, "older": Unknown, "arrived": Accepted, "removed": Unknown,
	} {
		if got := verdictAt(ix, secret, epoch); got != want {
			t.Errorf("%s: verdict %d, want %d", secret, got, want)
		}
	}
}

func TestNothingIsRepairedByAListThatIsOlderThanWhatTheFeedHolds(t *testing.T) {
	ix := indexWith(acme("1"))
	before := ix.beginComparison()
	listed := []claim{claimOf(apiKey("deleted", "5", "deleted"))}
	// Meanwhile the watch has failed, and the feed made a whole list, without a key that
	// it had never heard of.
	ix.replace(nil)
	ix.replaceOrganizations(map[string]organization{"acme": organizationOf(acme("1"))})
	if repairs := ix.repair(listed, before); repairs != 0 || verdictAt(ix, "deleted", epoch) != Unknown {
		t.Errorf("%d repairs brought a dead key back", repairs)
	}
	if repairs := ix.repairOrganizations(map[string]organization{"gone": organizationOf(acme("5"))}, before); repairs != 0 {
		t.Errorf("%d repairs brought a dead Organization back", repairs)
	}
	ix.endComparison()
}

func TestRepairOfOrganizations(t *testing.T) {
	named := func(name, revision string) *v1alpha1.Organization {
		return acme(revision, func(o *v1alpha1.Organization) { o.Name = name })
	}
	ix := indexWith(acme("1"))
	for _, name := range []string{"lost-delete", "deleted", "recreated", "same"} {
		ix.applyOrganization(name, organizationOf(named(name, "2")))
	}
	before := ix.beginComparison()
	listed := map[string]organization{"acme": organizationOf(acme("1"))}
	for name, revision := range map[string]string{"deleted": "2", "recreated": "2", "same": "2", "lost-add": "5"} {
		listed[name] = organizationOf(named(name, revision))
	}
	// Meanwhile the feed goes on: what the list has is deleted, once for good.
	ix.removeOrganization("deleted")
	ix.removeOrganization("recreated")
	ix.applyOrganization("recreated", organizationOf(named("recreated", "9")))
	if repairs := ix.repairOrganizations(listed, before); repairs != 2 {
		t.Errorf("%d repairs, want 2", repairs)
	}
	for name, want := range map[string]string{"acme": "1", "same": "2", "lost-add": "5", "recreated": "9", "deleted": "", "lost-delete": ""} {
		got := ""
		if entry := ix.organizations[name]; entry != nil && entry.state != nil {
			got = entry.state.revision
		}
		if got != want {
			t.Errorf("%s is at revision %q, want %q", name, got, want)
		}
	}
}

func TestLookupsDuringChanges(t *testing.T) {
	ix := indexWith(acme("1"), apiKey("steady", "1", "steady"))
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if verdictAt(ix, "steady", epoch) != Accepted {
					t.Error("a key was refused while others changed")
					return
				}
			}
		})
	}
	for i := range 2000 {
		name := fmt.Sprint("key-", i%50)
		ix.apply(claimOf(apiKey(name, fmt.Sprint(i+2), fmt.Sprint("secret-", i))))
		if i%7 == 0 {
			ix.remove(types.UID(name))
		}
	}
	close(done)
	readers.Wait()
}

func BenchmarkLookup(b *testing.B) {
	for _, size := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			ix := indexWith(acme("1"))
			for i := range size {
				ix.apply(claimOf(apiKey(fmt.Sprint("key-", i), "1", fmt.Sprint("secret-", i))))
			}
			digest := digestOf("secret-500")
			s := newSession(ix, bounds{staleness: time.Hour, suspect: time.Minute}, time.Now())
			b.ReportAllocs()
			for b.Loop() {
				if _, verdict := s.authenticate(digest, time.Now); verdict != Accepted {
					b.Fatal("refused")
				}
			}
		})
	}
}
