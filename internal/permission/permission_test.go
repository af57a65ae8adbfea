// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package permission

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func TestPermit(t *testing.T) {
	named := metav1.SetAsLabelSelector(labels.Set{"kubernetes.io/metadata.name": "prod"})
	team := &metav1.LabelSelector{MatchLabels: map[string]string{"team": "acme"}}
	invalid := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Resembles"}}}
	for name, test := range map[string]struct {
		policy  v1alpha1.NamespacePolicy
		labels  labels.Set
		want    bool
		invalid bool
	}{
		"nothing permits none":                       {want: false},
		"a name permits its namespace":               {policy: v1alpha1.NamespacePolicy{Selector: named}, labels: labels.Set{"kubernetes.io/metadata.name": "prod"}, want: true},
		"a name permits no other":                    {policy: v1alpha1.NamespacePolicy{Selector: named}, labels: labels.Set{"kubernetes.io/metadata.name": "production"}, want: false},
		"a selector permits what it matches":         {policy: v1alpha1.NamespacePolicy{Selector: team}, labels: labels.Set{"team": "acme"}, want: true},
		"a selector permits nothing else":            {policy: v1alpha1.NamespacePolicy{Selector: team}, labels: labels.Set{"team": "globex"}, want: false},
		"a selector permits no namespace without it": {policy: v1alpha1.NamespacePolicy{Selector: team}, want: false},
		"an empty selector permits every namespace":  {policy: v1alpha1.NamespacePolicy{Selector: &metav1.LabelSelector{}}, want: true},
		"an invalid selector permits none":           {policy: v1alpha1.NamespacePolicy{Selector: invalid}, labels: labels.Set{"team": "acme"}, want: false, invalid: true},
	} {
		t.Run(name, func(t *testing.T) {
			permitted, err := Of(&test.policy)
			if (err != nil) != test.invalid {
				t.Errorf("error %v, want one: %t", err, test.invalid)
			}
			if got := permitted.Permit(test.labels); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}
