// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func testKey(change ...func(*v1alpha1.APIKey)) *v1alpha1.APIKey {
	key := &v1alpha1.APIKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "agent", Generation: 3},
		Spec:       v1alpha1.APIKeySpec{OrganizationRef: v1alpha1.OrganizationReference{Name: "acme"}},
	}
	for _, f := range change {
		f(key)
	}
	return key
}

func testOrganization(change ...func(*v1alpha1.Organization)) *v1alpha1.Organization {
	organization := &v1alpha1.Organization{
		ObjectMeta: metav1.ObjectMeta{Name: "acme"},
		Spec:       v1alpha1.OrganizationSpec{Namespaces: v1alpha1.NamespacePolicy{Selector: &metav1.LabelSelector{}}},
	}
	for _, f := range change {
		f(organization)
	}
	return organization
}

// blocking has an Organization block an APIKey.
func blocking(namespace, name string) func(*v1alpha1.Organization) {
	return func(o *v1alpha1.Organization) {
		o.Spec.Blocked = append(o.Spec.Blocked, v1alpha1.BlockedAPIKey{Namespace: namespace, Name: name})
	}
}

func TestPermission(t *testing.T) {
	selecting := func(selector *metav1.LabelSelector) func(*v1alpha1.Organization) {
		return func(o *v1alpha1.Organization) {
			o.Spec.Namespaces = v1alpha1.NamespacePolicy{Selector: selector}
		}
	}
	scoped := func(scopes ...v1alpha1.Scope) func(*v1alpha1.APIKey) {
		return func(k *v1alpha1.APIKey) { k.Spec.Scopes = scopes }
	}
	minted := func(id string) func(*v1alpha1.APIKey) {
		return func(k *v1alpha1.APIKey) {
			k.Status.OrganizationID = id
			k.Status.Versions = []v1alpha1.KeyVersion{{ID: "0123456789ab"}}
		}
	}
	for name, test := range map[string]struct {
		key          *v1alpha1.APIKey
		organization *v1alpha1.Organization
		namespace    map[string]string
		want         string
	}{
		"namespace by name":                    {testKey(), testOrganization(), nil, v1alpha1.ReasonPermitted},
		"namespace by label":                   {testKey(), testOrganization(selecting(&metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}})), map[string]string{"a": "b"}, v1alpha1.ReasonPermitted},
		"namespace with other label":           {testKey(), testOrganization(selecting(&metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}})), map[string]string{"a": "c"}, v1alpha1.ReasonNamespaceNotPermitted},
		"an empty selector is every namespace": {testKey(), testOrganization(selecting(&metav1.LabelSelector{})), nil, v1alpha1.ReasonPermitted},
		"no selector is no namespace":          {testKey(), testOrganization(selecting(nil)), map[string]string{"a": "b"}, v1alpha1.ReasonNamespaceNotPermitted},
		"a selector that cannot be read": {testKey(), testOrganization(selecting(&metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}},
		})), nil, v1alpha1.ReasonInvalidSelector},
		"no organization":                   {testKey(), nil, nil, v1alpha1.ReasonOrganizationNotFound},
		"organization going":                {testKey(), testOrganization(func(o *v1alpha1.Organization) { o.DeletionTimestamp = ptr.To(metav1.NewTime(noon)) }), nil, v1alpha1.ReasonOrganizationNotFound},
		"organization suspended":            {testKey(), testOrganization(func(o *v1alpha1.Organization) { o.Spec.Suspend = true }), nil, v1alpha1.ReasonOrganizationSuspended},
		"organization refused":              {testKey(), testOrganization(func(o *v1alpha1.Organization) { o.Refusal = "It is too large." }), nil, v1alpha1.ReasonInvalidOrganization},
		"blocked":                           {testKey(), testOrganization(blocking("team", "agent")), nil, v1alpha1.ReasonBlocked},
		"another of its name blocked":       {testKey(), testOrganization(blocking("other", "agent")), nil, v1alpha1.ReasonPermitted},
		"a scope that the organization has": {testKey(scoped(v1alpha1.ScopeQuery)), testOrganization(), nil, v1alpha1.ReasonPermitted},
		"a scope that the organization lacks": {testKey(scoped(v1alpha1.ScopeQuery)), testOrganization(func(o *v1alpha1.Organization) {
			o.Spec.Scopes = []v1alpha1.Scope{v1alpha1.ScopeIngest}
		}), nil, v1alpha1.ReasonScopeNotPermitted},
		"minted for this id":              {testKey(minted("acme")), testOrganization(), nil, v1alpha1.ReasonPermitted},
		"minted for another id":           {testKey(minted("other")), testOrganization(), nil, v1alpha1.ReasonOrganizationChanged},
		"never minted, another id before": {testKey(func(k *v1alpha1.APIKey) { k.Status.OrganizationID = "other" }), testOrganization(), nil, v1alpha1.ReasonPermitted},
	} {
		t.Run(name, func(t *testing.T) {
			got := permissionOf(test.key, test.organization, test.namespace)
			if got.reason != test.want {
				t.Errorf("reason %q, want %q (%s)", got.reason, test.want, got.message)
			}
			if wantOK := test.want == v1alpha1.ReasonPermitted; got.ok != wantOK || got.stalled == wantOK {
				t.Errorf("ok %t, stalled %t", got.ok, got.stalled)
			}
			if got.message == "" {
				t.Error("says nothing")
			}
		})
	}
}

func TestDormancy(t *testing.T) {
	expiring := func(at time.Time) *v1alpha1.APIKey {
		return testKey(func(k *v1alpha1.APIKey) { k.Spec.ExpirationTime = ptr.To(metav1.NewTime(at)) })
	}
	for name, test := range map[string]struct {
		key  *v1alpha1.APIKey
		want string
	}{
		"a key that is to work": {testKey(), ""},
		"suspended":             {testKey(func(k *v1alpha1.APIKey) { k.Spec.Suspend = true }), v1alpha1.ReasonSuspended},
		"expires in a second":   {expiring(noon.Add(time.Second)), ""},
		"expires now":           {expiring(noon), v1alpha1.ReasonExpired},
		"expired":               {expiring(noon.Add(-time.Hour)), v1alpha1.ReasonExpired},
	} {
		t.Run(name, func(t *testing.T) {
			if got := dormancy(test.key, noon); got.reason != test.want {
				t.Errorf("reason %q, want %q", got.reason, test.want)
			}
		})
	}
	if message := dormancy(expiring(noon), noon).message; !strings.Contains(message, "2026-01-02T12:00:00Z") {
		t.Errorf("does not say when: %s", message)
	}
}
