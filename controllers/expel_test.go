// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

// unheard knows nothing of any use.
type unheard struct{}

func (unheard) Use(types.UID, string) usage.Use { return usage.Use{} }
func (unheard) Coverage() usage.Coverage        { return usage.Coverage{} }

// versionsOf reads versions as "a:Retiring b:Active".
func versionsOf(text string) []v1alpha1.KeyVersion {
	var versions []v1alpha1.KeyVersion
	for word := range strings.FieldsSeq(text) {
		id, state, _ := strings.Cut(word, ":")
		v := v1alpha1.KeyVersion{ID: id, State: v1alpha1.VersionState(state), MintReason: v1alpha1.MintInterval, RegistrationTime: metav1.NewTime(noon)}
		if v.State == v1alpha1.VersionRetiring {
			v.ReplacementTime = ptr.To(metav1.NewTime(noon.Add(-time.Hour)))
		}
		versions = append(versions, v)
	}
	return versions
}

func TestExpel(t *testing.T) {
	within := func(most time.Duration) v1alpha1.Rotation {
		return v1alpha1.Rotation{Overlap: v1alpha1.Overlap{Max: &metav1.Duration{Duration: most}}}
	}
	for name, test := range map[string]struct {
		versions string
		revoked  []string
		rotation v1alpha1.Rotation
		holds    string
		pinned   string
		// ended are the IDs of those that end.
		ended string
	}{
		"nothing is asked for":                          {"a:Retiring b:Active", nil, v1alpha1.Rotation{}, "b", "", ""},
		"a key that was replaced":                       {"a:Retiring b:Retiring c:Active", []string{"a"}, v1alpha1.Rotation{}, "c", "", "a"},
		"the current key":                               {"a:Retiring b:Active", []string{"b"}, v1alpha1.Rotation{}, "b", "", "b"},
		"a key on its way":                              {"a:Active b:Pending", []string{"b"}, v1alpha1.Rotation{}, "a", "", "b"},
		"the current key while another is on its way":   {"a:Active b:Pending", []string{"a"}, v1alpha1.Rotation{}, "a", "", "a"},
		"all of them":                                   {"a:Retiring b:Active", []string{"a", "b"}, v1alpha1.Rotation{}, "b", "", "a b"},
		"without a Secret":                              {"a:Retiring b:Active", []string{"a"}, v1alpha1.Rotation{}, "", "", "a"},
		"a key that has ended":                          {"a:Revoked b:Active", []string{"a"}, v1alpha1.Rotation{}, "b", "", ""},
		"a key of somebody else's":                      {"a:Retiring b:Active", []string{"c"}, v1alpha1.Rotation{}, "b", "", ""},
		"a replaced key that the Secret still has":      {"a:Active b:Retiring", []string{"b"}, v1alpha1.Rotation{}, "b", "", ""},
		"the same when the Secret has the other":        {"a:Active b:Retiring", []string{"b"}, v1alpha1.Rotation{}, "a", "", "b"},
		"the current key, and the one before is pinned": {"a:Retiring b:Active", []string{"b"}, v1alpha1.Rotation{}, "b", "a", ""},
		"overlap.max is over":                           {"a:Retiring b:Active", nil, within(time.Hour), "b", "", "a"},
		"overlap.max is not over":                       {"a:Retiring b:Active", nil, within(time.Hour + 1), "b", "", ""},
		"overlap.max is over, and the Secret has it":    {"a:Active b:Retiring", nil, within(0), "b", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := passOver("")
			p.key.Spec.RevokedKeyIDs, p.key.Spec.Rotation = test.revoked, test.rotation
			p.key.Status.Versions = versionsOf(test.versions)
			p.organization, p.key.Spec.ActiveKeyID = &v1alpha1.Organization{}, test.pinned
			p.holds, p.previous = test.holds, test.pinned
			r := &APIKeyReconciler{Usage: unheard{}}
			if next, err := r.expel(t.Context(), p); !next || err != nil {
				t.Fatalf("%t, %v", next, err)
			}
			var ended []string
			for i, v := range p.key.Status.Versions {
				if v.State == v1alpha1.VersionRevoked && versionsOf(test.versions)[i].State != v1alpha1.VersionRevoked {
					ended = append(ended, v.ID)
				}
			}
			if got := strings.Join(ended, " "); got != test.ended {
				t.Errorf("ended %q, want %q", got, test.ended)
			}
		})
	}
}

func TestAnEventNamesTheBusiestSources(t *testing.T) {
	var sources []usage.Source
	for i := range 16 {
		sources = append(sources, usage.Source{Endpoint: "ext_authz", Gateway: "2001:db8:1111:2222:3333:4444:5555:6666", Requests: int64(100 - i)})
	}
	sources = append(sources, usage.Source{Requests: 5})
	text := usedFrom(sources)
	if !strings.HasPrefix(text, "used for 1485 requests: 100 by ext_authz from 2001:") || !strings.HasSuffix(text, ", 713 from elsewhere") {
		t.Error(text)
	}
	if len(text) > maxNote-300 {
		t.Errorf("%d bytes leave no room in an event", len(text))
	}
}
