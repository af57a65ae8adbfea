// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func permitsBy(selected map[string]string) func(*v1alpha1.Organization) {
	return func(o *v1alpha1.Organization) {
		o.Spec.Namespaces.Selector = &metav1.LabelSelector{MatchLabels: selected}
	}
}

func TestAnAuthServerJudgesTheNamespaceItself(t *testing.T) {
	ours, theirs := map[string]string{"owner": "acme"}, map[string]string{"owner": "globex"}
	ix := indexWith(nil)
	steps := []struct {
		what string
		do   func()
		want Verdict
	}{
		{"an APIKey without its Organization", func() { ix.apply(claimOf(apiKey("a", "1", "s"))) }, Unknown},
		{"an Organization that permits by label", func() { ix.applyOrganization("acme", organizationOf(acme("2", permitsBy(ours)))) }, Unknown},
		{"a namespace of another label", func() { ix.applyNamespace("team", namespace{"3", theirs}) }, Unknown},
		{"the label is right", func() { ix.applyNamespace("team", namespace{"4", ours}) }, Accepted},
		{"an event that came late", func() { ix.applyNamespace("team", namespace{"3", theirs}) }, Accepted},
		{"the label is taken off", func() { ix.applyNamespace("team", namespace{"5", nil}) }, Unknown},
		{"the Organization permits none", func() {
			ix.applyOrganization("acme", organizationOf(acme("6", func(o *v1alpha1.Organization) { o.Spec.Namespaces = v1alpha1.NamespacePolicy{} })))
		}, Unknown},
		{"the Organization permits every namespace", func() { ix.applyOrganization("acme", organizationOf(acme("8", permitsBy(map[string]string{})))) }, Accepted},
		{"a whole list has the label of others", func() {
			ix.applyOrganization("acme", organizationOf(acme("9", permitsBy(ours))))
			ix.replaceNamespaces(map[string]namespace{"team": {"10", theirs}})
		}, Unknown},
		{"a whole list has the label", func() { ix.replaceNamespaces(map[string]namespace{"team": {"11", ours}}) }, Accepted},
		{"the namespace is gone", func() { ix.removeNamespace("team") }, Unknown},
		{"it is made anew by somebody else", func() { ix.applyNamespace("team", namespace{"12", theirs}) }, Unknown},
		{"the Organization is gone", func() { ix.removeOrganization("acme") }, Unknown},
	}
	for _, step := range steps {
		step.do()
		if got := verdictAt(ix, "s", epoch); got != step.want {
			t.Errorf("%s: verdict %d, want %d", step.what, got, step.want)
		}
	}
}

func TestTheIndexHasNoMorePermitsThanClaims(t *testing.T) {
	ix := indexWith(acme("1"))
	for i := range 1000 {
		// Who creates and deletes APIKeys may name any Organization.
		c := claimOf(apiKey(fmt.Sprint(i), "2", fmt.Sprint(i), func(k *v1alpha1.APIKey) { k.Spec.OrganizationRef.Name = fmt.Sprint("none-", i) }))
		ix.apply(c)
		ix.remove(c.uid)
	}
	ix.apply(claimOf(apiKey("a", "3", "s")))
	ix.apply(claimOf(apiKey("a", "4", "other")))
	if len(ix.organizations) != 1 || len(ix.organizations["acme"].permits) != 1 {
		t.Errorf("%d organizations and %d permits are left, want 1 and 1", len(ix.organizations), len(ix.organizations["acme"].permits))
	}
	ix.remove("a")
	ix.removeOrganization("acme")
	if len(ix.organizations) != 0 {
		t.Errorf("%d organizations are left", len(ix.organizations))
	}
}

func TestRepairOfNamespaces(t *testing.T) {
	ours := map[string]string{"owner": "acme"}
	ix := indexWith(acme("1", permitsBy(ours)), apiKey("a", "1", "s"))
	for _, name := range []string{"team", "lost-delete", "deleted", "same"} {
		ix.applyNamespace(name, namespace{"2", ours})
	}
	before := ix.beginComparison()
	listed := map[string]namespace{"team": {"5", nil}, "deleted": {"2", ours}, "same": {"6", labels.Set{"owner": "acme"}}}
	// Meanwhile the feed goes on: what the list has is deleted.
	ix.removeNamespace("deleted")
	if repairs := ix.repairNamespaces(listed, before); repairs != 2 {
		t.Errorf("%d repairs, want 2", repairs)
	}
	if got := verdictAt(ix, "s", epoch); got != Unknown {
		t.Errorf("verdict %d: a lost change of a namespace was not repaired", got)
	}
	if len(ix.namespaces) != 2 {
		t.Errorf("%d namespaces, want 2", len(ix.namespaces))
	}
}

func TestAChangedNamespaceIsReportedAtOnce(t *testing.T) {
	ns := func(revision string, set map[string]string) *metav1.PartialObjectMetadata {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "team", ResourceVersion: revision, Labels: set}}
	}
	for name, test := range map[string]struct {
		after map[string]string
		want  int
	}{
		"another label":  {map[string]string{"owner": "globex"}, 1},
		"the same label": {map[string]string{"owner": "acme"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := &listener{}
			store := namespaceStore{newIndex(nil), newProgress(clock.RealClock{}, func() { l.woken++ }, func(err error) { l.failed = err })}
			must(t, store.Replace([]any{ns("2", map[string]string{"owner": "acme"})}, "2"))
			l.woken = 0
			must(t, store.Update(ns("3", test.after)))
			store.UpdateResourceVersion("3")
			if l.woken != test.want || l.failed != nil {
				t.Errorf("reported %d times at once, want %d; failed: %v", l.woken, test.want, l.failed)
			}
			must(t, store.Add(&v1alpha1.APIKey{}))
			if l.failed == nil {
				t.Error("an object of another kind was passed over")
			}
		})
	}
}

// What is here the manager also writes into a status. An auth server does not wait for
// that.
func TestAnAuthServerJudgesTheSpecWithoutTheManager(t *testing.T) {
	imported := func(listed bool) func(*v1alpha1.APIKey) {
		return func(k *v1alpha1.APIKey) {
			k.Status.Versions[0].Origin = v1alpha1.OriginImported
			if listed {
				k.Spec.ImportedKeys = []v1alpha1.ImportedKey{{SHA256: digestOf("s").String()}}
			}
		}
	}
	imports := func(policy v1alpha1.ImportPolicy) func(*v1alpha1.Organization) {
		return func(o *v1alpha1.Organization) { o.Spec.Imports = policy }
	}
	blocks := func(namespace, name string) func(*v1alpha1.Organization) {
		return func(o *v1alpha1.Organization) {
			o.Spec.Blocked = []v1alpha1.BlockedAPIKey{{Namespace: namespace, Name: name}}
		}
	}
	replaced := func(ago time.Duration, set func(*v1alpha1.APIKey)) func(*v1alpha1.APIKey) {
		return func(k *v1alpha1.APIKey) {
			k.Status.Versions[0].State = v1alpha1.VersionRetiring
			k.Status.Versions[0].ReplacementTime = &metav1.Time{Time: epoch.Add(-ago)}
			k.Status.KeyID = "another"
			if set != nil {
				set(k)
			}
		}
	}
	const day = 24 * time.Hour
	revoke := func(id string) func(*v1alpha1.APIKey) {
		return func(k *v1alpha1.APIKey) { k.Spec.RevokedKeyIDs = []string{"0123456789ab", id} }
	}
	for name, test := range map[string]struct {
		key  func(*v1alpha1.APIKey)
		org  func(*v1alpha1.Organization)
		want Verdict
	}{
		"an object that cannot be decoded":                  {key: func(k *v1alpha1.APIKey) { k.Refusal = "spec.expirationTime" }, want: Unknown},
		"an Organization that cannot be decoded":            {org: func(o *v1alpha1.Organization) { o.Refusal = "spec.maxKeyAge" }, want: Unknown},
		"an APIKey that is blocked":                         {org: blocks("team", "a"), want: Unknown},
		"another APIKey of the namespace is blocked":        {org: blocks("team", "b"), want: Accepted},
		"an APIKey of that name elsewhere is blocked":       {org: blocks("teams", "a"), want: Accepted},
		"an imported key without the Organization's word":   {key: imported(true), want: Unknown},
		"an imported key that is forbidden":                 {key: imported(true), org: imports(v1alpha1.ImportForbidden), want: Unknown},
		"an imported key under a policy of another time":    {key: imported(true), org: imports("Some"), want: Unknown},
		"an imported key that is permitted":                 {key: imported(true), org: imports(v1alpha1.ImportForeign), want: Accepted},
		"an imported key that was taken out of the list":    {key: imported(false), org: imports(v1alpha1.ImportAny), want: Unknown},
		"a replaced key within overlap.max":                 {key: replaced(7*day-time.Second, nil), want: Accepted},
		"a replaced key at overlap.max":                     {key: replaced(7*day, nil), want: Unknown},
		"a replaced key at an overlap.max of its own":       {key: replaced(time.Hour, func(k *v1alpha1.APIKey) { k.Spec.Rotation.Overlap.Max = &metav1.Duration{Duration: time.Hour} }), want: Unknown},
		"a replaced key that is the Secret's after an undo": {key: replaced(8*day, func(k *v1alpha1.APIKey) { k.Status.KeyID = digestOf("s").KeyID() }), want: Accepted},
		"a replaced key that is revoked by its ID":          {key: replaced(0, revoke(digestOf("s").KeyID())), want: Unknown},
		"the current key, revoked by its ID":                {key: revoke(digestOf("s").KeyID()), want: Unknown},
		"the current key, and another is revoked":           {key: revoke(digestOf("t").KeyID()), want: Accepted},
	} {
		t.Run(name, func(t *testing.T) {
			nothing := func(*v1alpha1.Organization) {}
			if test.key == nil {
				test.key = func(*v1alpha1.APIKey) {}
			}
			if test.org == nil {
				test.org = nothing
			}
			key := apiKey("a", "1", "s", test.key)
			trim(key)
			if got := verdictAt(indexWith(acme("1", test.org), key), "s", epoch); got != test.want {
				t.Errorf("got verdict %d, want %d", got, test.want)
			}
		})
	}
}

func TestForeignOnly(t *testing.T) {
	for policy, want := range map[v1alpha1.ImportPolicy]bool{v1alpha1.ImportForeign: true, v1alpha1.ImportAny: false} {
		key := apiKey("a", "1", "s", func(k *v1alpha1.APIKey) {
			k.Status.Versions[0].Origin = v1alpha1.OriginImported
			k.Spec.ImportedKeys = []v1alpha1.ImportedKey{{SHA256: digestOf("s").String()}}
		})
		grant, verdict := indexWith(acme("1", func(o *v1alpha1.Organization) { o.Spec.Imports = policy }), key).lookup(digestOf("s")).judge(epoch)
		if verdict != Accepted || !grant.Imported || grant.ForeignOnly != want {
			t.Errorf("%s: verdict %d, %+v", policy, verdict, grant)
		}
	}
	if grant, _ := indexWith(acme("1"), apiKey("a", "1", "s")).lookup(digestOf("s")).judge(epoch); grant.ForeignOnly {
		t.Error("a key that was minted here is held to be foreign")
	}
}

// The form of a key that has expired is judged, too: its name is told to nobody else.
func TestAnExpiredGrantSaysWhetherItWasImported(t *testing.T) {
	key := apiKey("a", "1", "s", func(k *v1alpha1.APIKey) {
		k.Status.Versions[0].Origin = v1alpha1.OriginImported
		k.Spec.ImportedKeys = []v1alpha1.ImportedKey{{SHA256: digestOf("s").String()}}
		k.Spec.ExpirationTime = &metav1.Time{Time: epoch}
	})
	org := acme("1", func(o *v1alpha1.Organization) { o.Spec.Imports = v1alpha1.ImportForeign })
	grant, verdict := indexWith(org, key).lookup(digestOf("s")).judge(epoch)
	if verdict != Expired || !grant.Imported || !grant.ForeignOnly {
		t.Errorf("verdict %d, %+v", verdict, grant)
	}
}
