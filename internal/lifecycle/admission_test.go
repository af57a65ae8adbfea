// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func unpermitted(f *Facts) { f.Namespace.Permitted = false }

// block has the Organization block the APIKey.
func block(o *v1alpha1.Organization) {
	o.Spec.Blocked = append(o.Spec.Blocked, v1alpha1.BlockedAPIKey{Namespace: "team", Name: "agent"})
}

func scoped(scopes ...v1alpha1.Scope) func(*v1alpha1.APIKeySpec) {
	return func(s *v1alpha1.APIKeySpec) { s.Scopes = scopes }
}

func expiring(at time.Time) func(*v1alpha1.APIKeySpec) {
	return func(s *v1alpha1.APIKeySpec) { s.ExpirationTime = ptr.To(metav1.NewTime(at)) }
}

func TestPermission(t *testing.T) {
	org := func(change func(*v1alpha1.Organization)) *Facts { return given("a:Active", organization(change)) }
	for name, test := range map[string]struct {
		facts *Facts
		want  string
	}{
		"everything is as it is to be":                                       {given("a:Active"), v1alpha1.ReasonPermitted},
		"the object cannot be decoded":                                       {given("a:Active", func(f *Facts) { f.Key.Refusal = "It is too large." }), v1alpha1.ReasonInvalidObject},
		"there is no Organization":                                           {given("a:Active", func(f *Facts) { f.Organization = nil }), v1alpha1.ReasonOrganizationNotFound},
		"the Organization is refused":                                        {org(func(o *v1alpha1.Organization) { o.Refusal = "It is too large." }), v1alpha1.ReasonInvalidOrganization},
		"its selector cannot be read":                                        {given("a:Active", func(f *Facts) { f.Namespace.Unreadable = true }), v1alpha1.ReasonInvalidSelector},
		"the namespace is not permitted":                                     {given("a:Active", unpermitted), v1alpha1.ReasonNamespaceNotPermitted},
		"it blocks the APIKey":                                               {org(block), v1alpha1.ReasonBlocked},
		"it blocks one of that name elsewhere":                               {org(func(o *v1alpha1.Organization) { block(o); o.Spec.Blocked[0].Namespace = "other" }), v1alpha1.ReasonPermitted},
		"it is being deleted":                                                {org(func(o *v1alpha1.Organization) { o.DeletionTimestamp = ptr.To(at(0)) }), v1alpha1.ReasonOrganizationNotFound},
		"it is suspended":                                                    {org(func(o *v1alpha1.Organization) { o.Spec.Suspend = true }), v1alpha1.ReasonOrganizationSuspended},
		"it came back with another id":                                       {org(func(o *v1alpha1.Organization) { o.Spec.ID = "other" }), v1alpha1.ReasonOrganizationChanged},
		"another id before anything was minted":                              {given("", organization(func(o *v1alpha1.Organization) { o.Spec.ID = "other" })), v1alpha1.ReasonPermitted},
		"a scope that it has":                                                {given("a:Active", spec(scoped(v1alpha1.ScopeQuery))), v1alpha1.ReasonPermitted},
		"a scope that it does not have":                                      {given("a:Active", spec(scoped(v1alpha1.ScopeQuery)), organization(func(o *v1alpha1.Organization) { o.Spec.Scopes = []v1alpha1.Scope{v1alpha1.ScopeIngest} })), v1alpha1.ReasonScopeNotPermitted},
		"no scopes, of which it has few":                                     {org(func(o *v1alpha1.Organization) { o.Spec.Scopes = []v1alpha1.Scope{v1alpha1.ScopeIngest} }), v1alpha1.ReasonPermitted},
		"who is not permitted learns nothing":                                {given("a:Active", unpermitted, organization(func(o *v1alpha1.Organization) { o.Spec.Suspend = true })), v1alpha1.ReasonNamespaceNotPermitted},
		"a block is told before a suspension":                                {org(func(o *v1alpha1.Organization) { block(o); o.Spec.Suspend = true }), v1alpha1.ReasonBlocked},
		"an object that cannot be decoded is not asked for its Organization": {given("a:Active", func(f *Facts) { f.Organization, f.Key.Refusal = nil, "It is too large." }), v1alpha1.ReasonInvalidObject},
	} {
		t.Run(name, func(t *testing.T) {
			test.facts.Confirmed = true
			plan := Decide(test.facts)
			is := condition(&plan.Status, v1alpha1.ConditionPermitted)
			if is.Reason != test.want || is.Message == "" || (is.Status == metav1.ConditionTrue) != (test.want == v1alpha1.ReasonPermitted) {
				t.Errorf("got %+v, want %s", is, test.want)
			}
			if got, want := plan.Status.Acceptance == v1alpha1.AcceptanceAccepted, test.want == v1alpha1.ReasonPermitted; got != want {
				t.Errorf("acceptance is %s", plan.Status.Acceptance)
			}
		})
	}
}

func TestAdmission(t *testing.T) {
	decide(t, map[string]row{
		"a key that works needs nothing": {facts: given("a:Active"), want: "nothing", ready: "Ready", serving: "Active"},

		// Refusals.
		"a refusal that only a cache tells is confirmed first": {facts: given("a:Active", unpermitted), want: "ask Permission"},
		"nobody is refused before that, also without a key":    {facts: given("", func(f *Facts) { f.Organization = nil }), want: "ask Permission"},
		"a confirmed refusal is written before anybody is asked": {
			facts: given("a:Active", unpermitted, confirmed), want: "Status a:Active Withdrawn unapplied",
			ready: "NamespaceNotPermitted", serving: "Revoking", stuck: "Reconciling Revoking"},
		"one that the status has already is not confirmed again": {
			facts: given("a:Active", unpermitted, stored(func(s *status) { s.Acceptance, s.AppliedGeneration = v1alpha1.AcceptanceWithdrawn, 0 })),
			want:  "ask revoke withdrawn, generation 3"},
		"of another generation it is": {
			facts: given("a:Active", unpermitted, spec(scoped(v1alpha1.ScopeIngest)), stored(func(s *status) { s.Acceptance = v1alpha1.AcceptanceWithdrawn })),
			want:  "ask Permission"},
		"an object that cannot be decoded is refused without a question": {
			facts: given("a:Active", func(f *Facts) { f.Key.Refusal = "It is too large." }), want: "Status a:Active Withdrawn unapplied"},
		"one without a key has nothing to be dropped": {
			facts: given("", unpermitted, confirmed), want: "Status Withdrawn", ready: "NamespaceNotPermitted", serving: "Refused", stuck: "Reconciling NamespaceNotPermitted"},
		"the whole spec is asked for before anything is made of it": {facts: given("", func(f *Facts) { f.Key.Trimmed = true }), want: "ask Spec"},
		"but not where it is refused": {
			facts: given("", unpermitted, confirmed, func(f *Facts) { f.Key.Trimmed = true }), want: "Status Withdrawn"},

		// Suspension and expiry.
		"a suspension is written before anybody is asked": {
			facts: given("a:Active", spec(suspend)), want: "Status a:Active Withdrawn unapplied", ready: "Revoking", serving: "Revoking", stuck: "Reconciling Revoking"},
		"an expiry is written under its own name": {
			facts: given("a:Active", spec(expiring(noon))), want: "Status a:Active Expired unapplied", ready: "Revoking", serving: "Revoking", stuck: "Reconciling Revoking"},
		"a key that expires in a second works": {
			facts: given("a:Active", always(expiring(noon.Add(time.Second)))), want: "Status a:Active", ready: "Ready", serving: "Expiring", again: time.Second},
		"a suspension hides an expiry": {
			facts: given("a:Active", spec(suspend), spec(expiring(noon))), want: "Status a:Active Withdrawn unapplied"},
		"a key that was never minted is suspended at once": {
			facts: given("", spec(suspend)), want: "Status Withdrawn", ready: "Suspended", serving: "Suspended"},
		"what was revoked is written with it": {
			facts: given("a:Active +x:Active", spec(suspend), organization(block), confirmed), want: "Status a:Active +x:Revoked(Blocked) Withdrawn unapplied",
			ready: "Blocked", serving: "Revoking", stuck: "Reconciling Revoking"},

		// What a status of somebody else says.
		"a status of another UID counts for nothing": {
			facts: given("a:Active", noSecret, live, stored(func(s *status) { s.UID = "earlier" })), want: "ask Digest"},
		"also where it says that it is refused": {
			facts: given("a:Active", unpermitted, stored(func(s *status) { s.UID, s.Acceptance = "earlier", v1alpha1.AcceptanceWithdrawn })), want: "ask Permission"},

		// A namespace that goes.
		"in a namespace that is being deleted a lost Secret is no drift": {
			facts: given("a:Active", noSecret, live, func(f *Facts) { f.Namespace.Terminating = true }), want: "nothing"},
		"nor is a key minted there": {facts: given("", func(f *Facts) { f.Namespace.Terminating = true }), want: "Status unapplied"},
		"but what is revoked there is dropped": {
			facts: given("a:Active", spec(suspend), func(f *Facts) { f.Namespace.Terminating = true }), want: "Status a:Active Withdrawn unapplied"},
	})
}

func TestWithdrawal(t *testing.T) {
	// suspended is a key whose suspension is in the status.
	suspended := func(options ...option) *Facts {
		f := given("a:Active", spec(suspend), stored(func(s *status) { s.Acceptance, s.AppliedGeneration = v1alpha1.AcceptanceWithdrawn, 0 }))
		return f.with(options...)
	}
	organizationSuspended := organization(func(o *v1alpha1.Organization) { o.Spec.Suspend = true })
	decide(t, map[string]row{
		"one that spec.revokedKeyIDs names ends for good":   {facts: suspended(always(revoking("a")), withdrawn(complete)), want: "Status a:Revoked(Requested) Withdrawn"},
		"auth servers are asked when the status says it":    {facts: suspended(), want: "ask revoke withdrawn, generation 4"},
		"suspended is Ready only after each has dropped it": {facts: suspended(withdrawn(complete)), want: "Status a:Active Withdrawn", ready: "Suspended", serving: "Suspended"},
		"until then it may be accepted":                     {facts: suspended(withdrawn(quick)), want: "Status a:Active Withdrawn unapplied", ready: "Revoking", serving: "Revoking", stuck: "Reconciling Revoking", again: time.Second},
		"a wait that lasts names who is waited for":         {facts: suspended(withdrawn(slow)), want: "Status a:Active Withdrawn unapplied", ready: "Revoking", serving: "Revoking", stuck: "Reconciling Revoking"},
		"expired is the same": {
			facts: given("a:Active", always(expiring(noon)), stored(func(s *status) { s.Acceptance, s.AppliedGeneration = v1alpha1.AcceptanceExpired, 0 }), withdrawn(complete)),
			want:  "Status a:Active Expired", ready: "Expired", serving: "Expired"},
		"so is a suspended Organization, which is confirmed first": {
			facts: given("a:Active", organizationSuspended, confirmed), want: "Status a:Active Withdrawn unapplied",
			ready: "Revoking", serving: "Revoking", stuck: "Reconciling Revoking"},
		"and after the ack": {
			facts: given("a:Active", organizationSuspended, confirmed, stored(func(s *status) { s.Acceptance, s.AppliedGeneration = v1alpha1.AcceptanceWithdrawn, 0 }), withdrawn(complete)),
			want:  "Status a:Active Withdrawn", ready: "OrganizationSuspended", serving: "Suspended"},
		"an imported key that still works is waited for, too": {
			facts: given("+x:Active", spec(suspend), spec(listing("x")), stored(func(s *status) { s.Acceptance, s.AppliedGeneration = v1alpha1.AcceptanceWithdrawn, 0 })),
			want:  "ask revoke withdrawn, generation 4"},
		"once it is known nobody is asked again": {
			facts: suspended(stored(func(s *status) { s.AppliedGeneration = generation + 1 })), want: "Status a:Active Withdrawn", ready: "Suspended", serving: "Suspended"},
		"a suspended key whose Secret is gone keeps its version": {facts: suspended(noSecret, live, withdrawn(complete)), want: "Status a:Active Withdrawn", ready: "Suspended", serving: "Suspended"},
	})

	plan := Decide(suspended(withdrawn(slow)))
	if got := condition(&plan.Status, v1alpha1.ConditionRegistered).Message; got != "Waiting for 1 of 3 auth servers to drop the key: east." {
		t.Errorf("says %q", got)
	}
	settled := suspended(withdrawn(complete))
	settle(settled)
	if plan := Decide(settled); described(settled, &plan) != "nothing" {
		t.Errorf("a second look: %s", described(settled, &plan))
	}
	// Another generation of it has to be dropped anew, quietly: it may have been resumed in between.
	settled.Key.Generation++
	if plan := Decide(settled); described(settled, &plan) != "ask revoke withdrawn, generation 5" {
		t.Errorf("of another generation: %s", described(settled, &plan))
	}
}

func TestScopesAreThoseThatTheOrganizationHas(t *testing.T) {
	for name, test := range map[string]struct{ key, organization, want []v1alpha1.Scope }{
		"all by default":                  {nil, nil, v1alpha1.AllScopes()},
		"those that the spec names":       {[]v1alpha1.Scope{"query"}, nil, []v1alpha1.Scope{"query"}},
		"those that the Organization has": {nil, []v1alpha1.Scope{"query", "ingest"}, []v1alpha1.Scope{"ingest", "query"}},
		"those that both have":            {[]v1alpha1.Scope{"query"}, []v1alpha1.Scope{"query", "ingest"}, []v1alpha1.Scope{"query"}},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Decide(given("a:Active", always(scoped(test.key...)), organization(func(o *v1alpha1.Organization) { o.Spec.Scopes = test.organization })))
			if !slices.Equal(plan.Status.Scopes, test.want) {
				t.Errorf("got %v", plan.Status.Scopes)
			}
		})
	}
}

func TestDormancySaysWhenAndWhatToDo(t *testing.T) {
	ttl := func(d time.Duration) option {
		return always(func(s *v1alpha1.APIKeySpec) { s.TTL = &metav1.Duration{Duration: d} })
	}
	for name, test := range map[string]struct {
		facts   *Facts
		message string
	}{
		"by expirationTime":     {given("a:Active", always(expiring(noon))), "spec.expirationTime 2026-01-02T12:00:00Z"},
		"by ttl":                {given("a:Active", ttl(day)), "spec.ttl 24h0m0s ended at 2026-01-02T12:00:00Z"},
		"by suspend":            {given("a:Active", always(suspend)), "spec.suspend is true"},
		"not yet by ttl":        {given("a:Active", ttl(day+1)), ""},
		"not yet by expiration": {given("a:Active", always(expiring(noon.Add(1)))), ""},
	} {
		d := &decision{Facts: test.facts}
		if got, _ := d.dormancy(); (got.reason == "") != (test.message == "") || !strings.Contains(got.message, test.message) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
