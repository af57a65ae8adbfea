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
		v := v1alpha1.KeyVersion{ID: id, State: v1alpha1.VersionState(state), Reason: dueTrigger}
		if v.State == v1alpha1.VersionRetiring {
			v.RetiringAt = ptr.To(metav1.NewTime(noon.Add(-time.Hour)))
		}
		versions = append(versions, v)
	}
	return versions
}

func TestExpel(t *testing.T) {
	type rotated = v1alpha1.Rotation
	for name, test := range map[string]struct {
		versions string
		// pendingFor is why the pending version was minted.
		pendingFor      string
		spec            rotated
		acted           v1alpha1.RotationStatus
		holds, previous string
		// ended are the IDs of those that end, heeded whether the order is.
		ended  string
		heeded bool
	}{
		"nothing is asked for":                           {"a:Retiring b:Active", "", rotated{}, v1alpha1.RotationStatus{}, "b", "a", "", true},
		"an order":                                       {"a:Retiring b:Retiring c:Active", "", rotated{Retire: "x"}, v1alpha1.RotationStatus{}, "c", "b", "a b", true},
		"an order that was acted on":                     {"a:Retiring b:Active", "", rotated{Retire: "x"}, v1alpha1.RotationStatus{Retire: "x"}, "b", "a", "", true},
		"an order that is taken out":                     {"a:Retiring b:Active", "", rotated{}, v1alpha1.RotationStatus{Retire: "x"}, "b", "a", "", true},
		"an order without a Secret":                      {"a:Retiring b:Active", "", rotated{Retire: "x"}, v1alpha1.RotationStatus{}, "", "", "a", true},
		"an order while a key that came due is replaced": {"a:Retiring b:Active c:Pending", dueInterval, rotated{Retire: "x"}, v1alpha1.RotationStatus{}, "b", "a", "a", true},
		"an order together with a trigger":               {"a:Retiring b:Active", "", rotated{Trigger: "x", Retire: "x"}, v1alpha1.RotationStatus{}, "b", "a", "a", false},
		"the same while that rotation is under way":      {"a:Revoked b:Active c:Pending", dueTrigger, rotated{Trigger: "x", Retire: "x"}, v1alpha1.RotationStatus{Trigger: "x"}, "b", "", "", false},
		"the same after it":                              {"b:Retiring c:Active", "", rotated{Trigger: "x", Retire: "x"}, v1alpha1.RotationStatus{Trigger: "x"}, "c", "b", "b", true},
		"an order together with undo":                    {"z:Retiring a:Retiring b:Active", "", rotated{Undo: "x", Retire: "x"}, v1alpha1.RotationStatus{}, "b", "a", "z", false},
		"the same when that is undone":                   {"a:Active b:Retiring", "", rotated{Undo: "x", Retire: "x"}, v1alpha1.RotationStatus{Undo: "x"}, "b", "a", "", false},
		"the same when the Secret has the other key":     {"a:Active b:Retiring", "", rotated{Undo: "x", Retire: "x"}, v1alpha1.RotationStatus{Undo: "x"}, "a", "b", "b", true},
		"overlap.max is over":                            {"a:Retiring b:Active", "", rotated{Overlap: v1alpha1.Overlap{Max: &metav1.Duration{Duration: time.Hour}}}, v1alpha1.RotationStatus{}, "b", "a", "a", true},
		"overlap.max is over, and the Secret has it":     {"a:Active b:Retiring", "", rotated{Overlap: v1alpha1.Overlap{Max: &metav1.Duration{}}}, v1alpha1.RotationStatus{}, "b", "a", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			p := passOver("")
			p.key.Spec.Rotation = test.spec
			p.key.Status.Versions = versionsOf(test.versions)
			if pending := p.pending(); pending != nil {
				pending.Reason = test.pendingFor
			}
			p.act(test.acted)
			p.holds, p.previous = test.holds, test.previous
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
			if heeded := p.acted().Retire == test.spec.Retire; heeded != test.heeded {
				t.Errorf("heeded %t, want %t", heeded, test.heeded)
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
