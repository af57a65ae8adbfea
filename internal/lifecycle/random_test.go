// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// TestDecisionsAboutAnyFacts decides about facts that no world comes to, and answers that
// contradict each other: also then nothing is published that is not acknowledged, nothing
// that was revoked is accepted, and there is an end of decisions.
func TestDecisionsAboutAnyFacts(t *testing.T) {
	count := 5000
	if testing.Short() {
		count /= 5
	}
	for seed := range uint64(count) {
		d := rolling(seed)
		f := d.anyFacts()
		if text := d.follow(f); text != "" {
			t.Fatalf("seed %d: %s", seed, text)
		}
	}
}

// anyFacts are some.
func (d *dice) anyFacts() *Facts {
	var words []string
	for letter := range d.roll(7) {
		state := []string{"Active", "Active", "Pending", "Retiring", "Revoked(Unused)", "Revoked(Requested)", "Unheard"}[d.roll(7)]
		word := fmt.Sprintf("%c:%s", 'a'+letter, state)
		if d.once(5) {
			word = "+" + word
		}
		words = append(words, word)
	}
	f := given(strings.Join(words, " "))
	for _, change := range d.changes() {
		if d.once(8) {
			change(f)
		}
	}
	return f
}

// changes are what may be another way than it is for most APIKeys.
func (d *dice) changes() []option {
	some := func() string { return string(rune('a' + d.roll(7))) }
	tooMany := strings.Repeat("o", 200)
	return []option{
		spec(suspend), spec(pinned(some())), spec(revoking(some())), spec(revoking(some() + " " + some())), spec(listing("x y")), spec(listing(some())),
		spec(scoped("ingest")), spec(labelled), always(after(noon)), always(every(time.Hour)), always(expiring(noon.Add(time.Duration(d.roll(3)-1) * time.Hour))),
		always(overlapping(time.Duration(d.roll(3)) * time.Hour)), always(idle(time.Minute)), always(func(s *v1alpha1.APIKeySpec) { s.Secret.Name = tooMany }),
		always(func(s *v1alpha1.APIKeySpec) { s.Secret.Data = map[string]v1alpha1.DataTemplate{"a": "$(NOBODY)"} }),
		unpermitted, confirmed, unfinalized, noSecret, refused, live, aging(2 * time.Hour), heard(0), drifted(int32(1+d.roll(9)), 0, some()),
		organization(func(o *v1alpha1.Organization) { o.Spec.Suspend = true }), organization(block), organization(forbidImports),
		organization(func(o *v1alpha1.Organization) { o.Spec.ID = "other" }), imported(some(), "x"), imported("x", some()),
		stored(func(s *status) { s.UID = "earlier" }), stored(func(s *status) { s.Acceptance = "Withdrawn" }), stored(func(s *status) { s.Acceptance = "Expired" }),
		stored(func(s *status) { s.AppliedGeneration = 0 }), stored(func(s *status) { s.KeyID = idOf(some()) }), stored(func(s *status) { s.Conditions = nil }),
		holds(some()), holds("z"), holdsPrevious(some()), holdsPrevious("z"), minted(some()), planned(noon), used(some(), 0), rival("x", Rival{Same: true, Senior: true}),
		func(f *Facts) { f.Senior = true },
		func(f *Facts) { f.Namespace.Terminating = true },
		func(f *Facts) { f.Key.Refusal = tooMany + tooMany },
		func(f *Facts) { f.Key.Trimmed = true },
		func(f *Facts) { f.Key.DeletionTimestamp = &metav1.Time{Time: noon} },
		func(f *Facts) { f.Unwritable = tooMany + tooMany },
		func(f *Facts) { f.PreviousRefused = true },
		func(f *Facts) { f.Template = tooMany + tooMany },
		func(f *Facts) { f.Rollout = Rollout{true, tooMany + tooMany} },
		func(f *Facts) {
			f.Repairs = Repairs{Repair{"3 acme " + idOf(some()), 3, noon}, Repair{"3 acme " + idOf(some()), 3, noon}, 2, noon}
		},
		func(f *Facts) { touchAny(f, d) },
	}
}

// touchAny changes a Secret, where there is one.
func touchAny(f *Facts, d *dice) {
	for _, place := range []*Place{&f.Secret, &f.Previous} {
		if place.Secret != nil {
			[]func(*corev1.Secret){foreign, asVelero, edited, func(s *corev1.Secret) { s.Annotations[v1alpha1.AnnotationAbandonedKeyID] = idOf("b") }}[d.roll(4)](place.Secret)
		}
	}
}

// follow answers and acts until nothing is left to do, and says what is wrong.
func (d *dice) follow(f *Facts) string {
	w := &world{dice: d, now: f.Now, history: []*v1alpha1.APIKey{f.Key}, organization: f.Organization, namespace: f.Namespace, secrets: [2]*corev1.Secret{f.Secret.Secret, f.Previous.Secret}}
	for step := range maxSteps {
		plan := Decide(f)
		if wrong := wrongWith(f, &plan); wrong != "" {
			return fmt.Sprintf("step %d, %s: %s", step, described(f, &plan), wrong)
		}
		switch {
		case plan.Asks():
			for _, purpose := range plan.Ask.Acks {
				f.Acks[purpose] = []Ack{complete, complete, quick, slow, none}[d.roll(5)]
			}
			plan.Ask.Acks = nil
			w.answer(f, &plan.Ask)
		case plan.Step == StepNone:
			return ""
		case plan.Step == StepStatus:
			f.Key.Status = plan.Status
			if f.Fresh != nil {
				f.Minted, f.Fresh, f.Senior = f.Fresh.KeyID(), nil, false
			}
		case plan.Step == StepFinalizer:
			f.Key.Finalizers = []string{v1alpha1.Finalizer}
		case plan.Step == StepRemove:
			f.Removed = true
		case plan.Step == StepRelease:
			f.Released = true
		case plan.Secret.Previous:
			f.Previous = Place{Live: true, Secret: putInto(f, &plan.Secret)}
		default:
			f.Secret = Place{Live: true, Secret: putInto(f, &plan.Secret)}
			f.Repairs.Main.Form = plan.Secret.Form
		}
		w.secrets = [2]*corev1.Secret{f.Secret.Secret, f.Previous.Secret}
	}
	return "no end of decisions"
}

func putInto(f *Facts, w *SecretWrite) *corev1.Secret {
	if w.KeyID == "" {
		return nil
	}
	s := secretOf(f, names[w.KeyID], w.Previous)
	if w.Mark != "" {
		s.Annotations[v1alpha1.AnnotationAbandonedKeyID] = w.Mark
	}
	return s
}

// wrongWith says what no Plan may be.
func wrongWith(f *Facts, plan *Plan) string {
	before, after := &f.Key.Status, &plan.Status
	if again := Decide(f); !reflect.DeepEqual(again, *plan) {
		return "another decision about the same facts"
	}
	if !f.Key.StatusIsOwn() {
		before = &status{}
	}
	if s := &plan.Secret; plan.Step == StepSecret && s.KeyID != "" {
		v := versionOf(before, s.KeyID)
		registered := func(p Purpose) bool {
			return p.Kind == Register && strings.Contains(p.Of, s.KeyID) && f.Acks[p].Complete
		}
		switch {
		case v == nil || !v.State.Accepted() || v.Imported() || before.Acceptance != v1alpha1.AcceptanceAccepted:
			return "it publishes what is not accepted"
		case v.State == v1alpha1.VersionPending && !registered(Purpose{Register, fmt.Sprintf("key %s, generation %d", v.ID, f.Key.Generation)}):
			return "it publishes what is not acknowledged"
		case !f.Held.Has(s.KeyID):
			return "it publishes a key that is not at hand"
		}
	}
	if plan.Step != StepStatus {
		return ""
	}
	for i := range before.Versions {
		if v := versionOf(after, before.Versions[i].ID); v != nil && v.State.Accepted() && !before.Versions[i].State.Accepted() {
			return "it accepts what was revoked"
		}
	}
	revoked := func(p Purpose) bool {
		return p.Kind == Revoke && strings.Contains(p.Of, fmt.Sprintf("generation %d", f.Key.Generation)) && f.Acks[p].Complete
	}
	if after.AppliedGeneration == f.Key.Generation && before.AppliedGeneration != after.AppliedGeneration && last(before, isAccepted) != nil && !slices.ContainsFunc(purposesOf(f), revoked) {
		return "it says that a generation is applied which nobody has acknowledged"
	}
	for _, c := range after.Conditions {
		if len(c.Message) > maxMessage || c.Reason == "" {
			return fmt.Sprintf("%+v", c)
		}
	}
	if accepts := after.Acceptance == v1alpha1.AcceptanceAccepted; accepts && f.Key.DeletionTimestamp.IsZero() && (f.Key.Spec.Suspend || !f.Namespace.Permitted || f.Key.Refusal != "") {
		return "it accepts what is stopped"
	}
	return ""
}

func purposesOf(f *Facts) (purposes []Purpose) {
	for purpose := range f.Acks {
		purposes = append(purposes, purpose)
	}
	return purposes
}
