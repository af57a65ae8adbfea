// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func TestPin(t *testing.T) {
	day := &metav1.Duration{Duration: 24 * time.Hour}
	for name, test := range map[string]struct {
		versions, previous, pinned string
		maxKeyAge                  *metav1.Duration
		age                        time.Duration
		// active is the current key afterwards, and told what a person is told.
		active, told string
	}{
		"no key":                                 {"a:Retiring b:Active", "a", "", nil, 0, "b", ""},
		"the current key":                        {"a:Retiring b:Active", "a", "b", nil, 0, "b", ""},
		"the key that was replaced last":         {"a:Retiring b:Active", "a", "a", nil, 0, "a", ""},
		"one that was replaced before that":      {"a:Retiring b:Retiring c:Active", "b", "a", nil, 0, "c", "not in the Secret"},
		"one that was revoked":                   {"a:Revoked b:Active", "", "a", nil, 0, "b", "does not work"},
		"one that nobody knows":                  {"a:Retiring b:Active", "a", "c", nil, 0, "b", "does not work"},
		"one that is as old as maxKeyAge":        {"a:Retiring b:Active", "a", "a", day, 24 * time.Hour, "b", "too old"},
		"one that is about to be":                {"a:Retiring b:Active", "a", "a", day, 13 * time.Hour, "b", "too old"},
		"one that is young enough for maxKeyAge": {"a:Retiring b:Active", "a", "a", day, time.Hour, "a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := passOver("")
			p.organization = &v1alpha1.Organization{Spec: v1alpha1.OrganizationSpec{MaxKeyAge: test.maxKeyAge}}
			p.key.Spec.ActiveKeyID = test.pinned
			p.key.Status.Versions = versionsOf(test.versions)
			p.now, p.previous = noon.Add(test.age), test.previous
			(&APIKeyReconciler{}).pin(p)
			if got := p.active().ID; got != test.active {
				t.Errorf("%s is the current key, want %s", got, test.active)
			}
			if test.told == "" && p.pinning != (finding{}) || !strings.Contains(p.pinning.message, test.told) {
				t.Errorf("found %+v, want %q", p.pinning, test.told)
			}
		})
	}
}
