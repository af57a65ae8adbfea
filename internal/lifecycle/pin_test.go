// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func aging(age time.Duration) option {
	return organization(func(o *v1alpha1.Organization) { o.Spec.MaxKeyAge = &metav1.Duration{Duration: age} })
}

// overlapping is a rotation whose overlap.max is that.
func overlapping(most time.Duration) func(*v1alpha1.APIKeySpec) {
	return rotating(func(r *v1alpha1.Rotation) { r.Overlap.Max = &metav1.Duration{Duration: most} })
}

// marked has a mark in the Secret say that a key is given up.
func marked(name string) option {
	return func(f *Facts) { f.Secret.Secret.Annotations[v1alpha1.AnnotationAbandonedKeyID] = idOf(name) }
}

func TestPin(t *testing.T) {
	for name, test := range map[string]struct {
		facts *Facts
		pin   string
		// active is the current key afterwards, and told what a person is told.
		active, told string
	}{
		"no key":                            {given("a:Retiring b:Active", live), "", "b", ""},
		"the current key":                   {given("a:Retiring b:Active", live), "b", "b", ""},
		"the key that was replaced last":    {given("a:Retiring b:Active", live), "a", "a", ""},
		"one that was replaced before that": {given("a:Retiring b:Retiring c:Active", live), "a", "c", "is in no Secret any more"},
		"one that was revoked":              {given("a:Revoked(Unused) b:Active", live), "a", "b", "does not work"},
		"one that nobody knows":             {given("a:Retiring b:Active", live), "c", "b", "does not work"},
		"one that was imported":             {given("b:Active +x:Retiring", live), "x", "b", "does not work"},
		"one as old as maxKeyAge":           {given("a:Retiring b:Active", live, aging(2*time.Hour)), "a", "b", "too old"},
		"one that is about to be":           {given("a:Retiring b:Active", live, aging(3*time.Hour)), "a", "b", "too old"},
		"one that is young enough":          {given("a:Retiring b:Active", live, aging(day)), "a", "a", ""},
		"its Secret is gone":                {given("a:Retiring b:Active", live, func(f *Facts) { f.Previous.Secret = nil; f.Held.Delete(idOf("a")) }), "a", "b", "is in no Secret any more"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.pin != "" {
				test.facts.with(spec(pinned(test.pin)))
			}
			d := &decision{Facts: test.facts, next: *test.facts.Key.Status.DeepCopy()}
			d.main = d.holding(&test.facts.Secret, false)
			if !d.pin() || d.plan.Asks() {
				t.Error("it stops there")
			}
			if got := active(&d.next).ID; got != idOf(test.active) {
				t.Errorf("%s is the current key", names[got])
			}
			if (d.pinned.reason != "") != (test.told != "") || !strings.Contains(d.pinned.message, test.told) {
				t.Errorf("found %+v, want %q", d.pinned, test.told)
			}
		})
	}
}

func TestGoingBack(t *testing.T) {
	pinA := spec(pinned("a"))
	// swapped is the status after the two keys have changed places, before the Secret was written.
	swapped := func(options ...option) *Facts {
		return given("a:Active b:Retiring", pinA, stored(func(s *status) { s.KeyID = idOf("b") }), holds("b"), holdsPrevious("a"), live).with(options...)
	}
	decide(t, map[string]row{
		"the Secrets are read first: the key may be in none":      {facts: given("a:Retiring b:Active", pinA), want: "ask Secrets"},
		"the two change places while auth servers are waited for": {facts: given("a:Retiring b:Active", pinA, live, applied(quick)), want: "Status a:Active b:Retiring unapplied", ready: "Ready", serving: "Active"},
		"and then in the Secret":                                  {facts: swapped(applied(complete)), want: "Status a:Active b:Retiring"},
		"and then in the Secret, when that is known":              {facts: swapped(stored(func(s *status) { s.AppliedGeneration = generation + 1 })), want: "Secret a"},
		"and in the previous one": {
			facts: swapped(applied(complete), holds("a"), live, stored(func(s *status) { s.KeyID, s.AppliedGeneration = idOf("a"), generation+1 })), want: "Secret b previous"},
		"one that cannot be had is said, and the current key works": {
			facts: given("a:Revoked(Unused) b:Active", pinA, applied(complete), dropped("a", quick)), want: "Status a:Revoked(Unused) b:Active",
			ready: "ActiveKeyUnavailable", serving: "Active", stuck: "Stalled ActiveKeyUnavailable"},

		// A successor that is on its way.
		"a successor that is pinned itself goes on": {facts: given("a:Active b:Pending", spec(pinned("b")), minted("b")), want: "ask register key b, generation 4"},
		"a successor is given up at once where this process minted it": {
			facts: given("a:Active b:Pending", pinA, minted("b"), live), want: "Status a:Active b:Revoked(Abandoned) unapplied"},
		"for which the Secret is read: the key may be in it": {facts: given("a:Active b:Pending", pinA, minted("b")), want: "ask Secrets"},
		"one that has come into the Secret is published, and gone back from": {
			facts: given("a:Active b:Pending", pinA, minted("b"), holds("b"), live, loaded("b", complete)), want: "Status a:Retiring b:Active unapplied"},
		"whoever minted it": {
			facts: given("a:Active b:Pending", pinA, holds("b"), live, loaded("b", complete)), want: "Status a:Retiring b:Active unapplied"},
		"where another did the Secret is read": {facts: given("a:Active b:Pending", pinA), want: "ask Secrets"},
		"and marked first":                     {facts: given("a:Active b:Pending", pinA, live), want: "Secret a mark b"},
		"and when the mark stands it ends":     {facts: given("a:Active b:Pending", pinA, marked("b"), live), want: "Status a:Active b:Revoked(Abandoned) unapplied"},
		"a mark of another key is none":        {facts: given("a:Active b:Pending", pinA, marked("c"), live), want: "Secret a mark b"},
		"going back gives it up, too": {
			facts: given("a:Retiring b:Active c:Pending", pinA, minted("c"), live), want: "Status a:Active b:Retiring c:Revoked(Abandoned) unapplied"},
		"going back marks the Secret first where another minted it": {
			facts: given("a:Retiring b:Active c:Pending", pinA, live), want: "Secret b mark c"},
		"a Secret that somebody has touched ends every key, pinned or not": {
			facts: given("a:Active b:Pending", pinA, holds("z"), live, fresh("n")),
			want:  "Status a:Revoked(SecretDrifted) b:Revoked(SecretDrifted) n:Pending unapplied"},
		"so does one that is somebody else's": {
			facts: given("a:Active b:Pending", pinA, secret(func(s *corev1.Secret) { s.OwnerReferences = nil; s.Labels = nil }), live),
			want:  "Status a:Revoked(SecretConflict) b:Revoked(SecretConflict) unapplied"},

		"one that takes its place for maxKeyAge goes on": {
			facts: given("a:Active b:Pending", always(pinned("a")), aging(2*time.Hour), minted("b"), loaded("b", complete), live), want: "Secret a previous"},

		// With revokedKeyIDs, in one change.
		"go back, and end the newer key: first the two change places": {
			facts: given("a:Retiring b:Active", spec(pinned("a")), spec(revoking("b")), live, applied(quick)), want: "Status a:Active b:Retiring unapplied"},
		"then the Secret": {
			facts: swapped(always(revoking("b")), stored(func(s *status) { s.AppliedGeneration = generation + 1 })), want: "Secret a"},
		"then the newer key ends, and none is minted": {
			facts: swapped(always(revoking("b")), holds("a"), live, stored(func(s *status) { s.KeyID, s.AppliedGeneration = idOf("a"), generation+1 })),
			want:  "Status a:Active b:Revoked(Requested)"},
	})
}

// The Secret holds the last in holds.
func TestRevoke(t *testing.T) {
	for name, test := range map[string]struct {
		versions, revoked string
		max               time.Duration
		holds             string
		// ended are those that end.
		ended string
	}{
		"nothing is asked for":                         {"a:Retiring b:Active", "", 0, "b", ""},
		"a key that was replaced":                      {"a:Retiring b:Retiring c:Active", "a", 0, "c", "a"},
		"the current key":                              {"a:Retiring b:Active", "b", 0, "b", "b"},
		"a key on its way":                             {"a:Active b:Pending", "b", 0, "a", "b"},
		"the current key while another is on its way":  {"a:Active b:Pending", "a", 0, "a", "a"},
		"all of them":                                  {"a:Retiring b:Active", "a b", 0, "b", "a b"},
		"without a Secret":                             {"a:Retiring b:Active", "a", 0, "", "a"},
		"a key that has ended":                         {"a:Revoked(Unused) b:Active", "a", 0, "b", ""},
		"a key of somebody else's":                     {"a:Retiring b:Active", "c", 0, "b", ""},
		"an imported key":                              {"a:Active +x:Active", "x", 0, "a", "x"},
		"a replaced key that the Secret still has":     {"a:Active b:Retiring", "b", 0, "b", ""},
		"the same when the Secret has the other":       {"a:Active b:Retiring", "b", 0, "a", "b"},
		"overlap.max is over":                          {"a:Retiring b:Active", "", time.Hour, "b", "a"},
		"overlap.max is not over":                      {"a:Retiring b:Active", "", time.Hour + 1, "b", ""},
		"overlap.max is over, and the Secret has it":   {"a:Active b:Retiring", "", time.Minute, "b", ""},
		"overlap.max is over for an imported key, too": {"a:Active +x:Retiring", "", time.Minute, "a", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			f := given(test.versions, always(revoking(test.revoked)))
			if test.max != 0 {
				f.with(always(overlapping(test.max)))
			}
			f.Key.Status.Versions = versionsOf(test.versions)
			d := &decision{Facts: f, next: *f.Key.Status.DeepCopy()}
			if d.next.KeyID = idOf(test.holds); test.holds == "" {
				d.next.KeyID = ""
			}
			if !d.revoke() {
				t.Error("it stops there")
			}
			var ended []string
			for i, v := range d.next.Versions {
				if v.State != f.Key.Status.Versions[i].State {
					ended = append(ended, names[v.SHA256])
				}
			}
			if got := strings.Join(ended, " "); got != test.ended {
				t.Errorf("ended %q, want %q", got, test.ended)
			}
		})
	}
}

func TestRevocation(t *testing.T) {
	decide(t, map[string]row{
		"a key that was replaced ends before auth servers are asked": {
			facts: given("a:Retiring b:Active", spec(revoking("a"))), want: "Status a:Revoked(Requested) b:Active unapplied"},
		"for the current key another is registered in the same write": {
			facts: given("a:Active", spec(revoking("a"))), want: "ask Digest"},
		"in the same write, indeed": {
			facts: given("a:Active", spec(revoking("a")), fresh("n")), want: "Status a:Revoked(Requested) n:Pending unapplied",
			ready: "WaitingForAuthServers", serving: "Pending", stuck: "Reconciling WaitingForAuthServers"},
		"it does not wait for a Secret that is refused": {
			facts: given("a:Retiring b:Active", spec(revoking("a")), spec(func(s *v1alpha1.APIKeySpec) { s.Secret.Labels = map[string]v1alpha1.LabelValue{"x": "y"} })),
			want:  "Status a:Revoked(Requested) b:Active unapplied"},
		"nor for a pin that has to be read for": {
			facts: given("a:Retiring b:Active c:Pending", spec(revoking("a")), spec(pinned("b"))), want: "Status a:Revoked(Requested) b:Active c:Pending unapplied"},
		"nor for the answer to whether it is superseded": {
			facts: given("a:Retiring b:Active", spec(overlapping(time.Minute))), want: "Status a:Revoked(MaxReachedInUse) b:Active unapplied"},
		"who has asked for it is remembered by its version, and it is dropped later": {
			facts: given("a:Revoked(Requested) b:Active"), want: "ask revoke a"},
	})
}
