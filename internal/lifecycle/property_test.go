// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/scope"
)

var (
	seedFlag  = flag.Uint64("lifecycle.seed", 0, "the first seed of the worlds that are drawn")
	countFlag = flag.Int("lifecycle.worlds", 1000, "how many worlds are drawn")
)

// TestWorlds draws worlds, and checks each decision of each by what is true in them.
func TestWorlds(t *testing.T) {
	count := *countFlag
	if testing.Short() {
		count /= 10
	}
	for seed := *seedFlag; seed < *seedFlag+uint64(count); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { newWorld(t, rolling(seed)).live(120) })
	}
}

// FuzzDecide does the same, and decides about any facts, by a script.
func FuzzDecide(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, []byte{})
	}
	f.Fuzz(func(t *testing.T, seed uint64, script []byte) {
		d := rolling(seed)
		d.script = script
		if text := d.follow(d.anyFacts()); text != "" {
			t.Fatal(text)
		}
		newWorld(t, d).live(60)
	})
}

// live has some things happen, and then nothing any more: the APIKey has to come to rest.
func (w *world) live(things int) {
	for range things {
		if w.gone {
			break
		}
		if w.once(2) {
			w.happen()
			continue
		}
		w.look(func() {
			if w.once(6) {
				w.happen()
			}
		})
	}
	w.settleDown()
}

// settleDown has nobody interfere, and everything that was in the way be put right.
func (w *world) settleDown() {
	w.note("calm")
	w.calm, w.refusing = true, [3]bool{}
	w.soothe()
	for i, s := range w.secrets {
		if s != nil && (!metav1.IsControlledBy(s, w.key()) || s.Type != "Opaque") {
			w.secrets[i] = nil
		}
	}
	if len(w.servers) == 0 {
		w.servers = []int{0}
	}
	end := w.now.Add(12 * time.Hour)
	for looks := 0; w.now.Before(end); looks++ {
		for server := range w.servers {
			w.servers[server] = len(w.history) - 1
		}
		if looks > 200 {
			w.failf("it does not come to rest")
		}
		plan := w.look(func() {})
		if plan == nil {
			if w.gone {
				return
			}
			continue
		}
		if w.writes == 0 && len(plan.Waits) == 0 && (current(&plan.Status) != nil || plan.Again == 0 || plan.Status.Acceptance != v1alpha1.AcceptanceAccepted) {
			w.atRest()
			return
		}
		if w.pass(time.Millisecond); w.writes == 0 {
			w.pass(plan.Again)
		}
	}
	w.failf("it does not come to rest in half a day")
}

// atRest checks what has become of an APIKey that nobody disturbs any more.
func (w *world) atRest() {
	key := w.key()
	s := &key.Status
	ready := condition(s, v1alpha1.ConditionReady)
	switch {
	case key.Status.Acceptance != v1alpha1.AcceptanceAccepted:
		if s.AppliedGeneration != key.Generation || ready.Reason != "Suspended" && ready.Reason != "Expired" {
			w.failf("at rest it is %s, and %d of %d is applied", ready.Reason, s.AppliedGeneration, key.Generation)
		}
		return
	case ready.Reason == v1alpha1.ReasonInvalidTemplate:
		return
	}
	v := active(s)
	switch {
	case v == nil || pending(s) != nil:
		w.failf("at rest it has no key, or another on its way: %s", ready.Message)
	case s.KeyID != v.ID || w.secrets[0] == nil || HeldVersion(w.secrets[0], s) == nil || HeldVersion(w.secrets[0], s).ID != v.ID:
		w.failf("at rest the Secret does not hold key %s", v.ID)
	case s.AppliedGeneration != key.Generation || s.ObservedGeneration != key.Generation:
		w.failf("at rest generation %d is applied, %d observed, of %d", s.AppliedGeneration, s.ObservedGeneration, key.Generation)
	case slices.ContainsFunc(s.Versions, func(v version) bool {
		return v.State == v1alpha1.VersionRevoked || slices.Contains(key.Spec.RevokedKeyIDs, v.ID)
	}):
		w.failf("at rest a revoked key is left")
	case !slices.Contains([]string{"Ready", "ActiveKeyUnavailable", "ImportRefused", "ImportExpired", "Importing"}, ready.Reason):
		w.failf("at rest it is %s: %s", ready.Reason, ready.Message)
	}
	if _, every := w.accepts(v.ID); !every {
		w.failf("at rest some auth server refuses key %s", v.ID)
	}
	// One that lost its label is in no cache.
	if secret := w.secrets[1]; secret != nil && secret.Labels[v1alpha1.LabelAPIKey] != "" && metav1.IsControlledBy(secret, key) && HeldVersion(secret, s) == nil {
		w.failf("at rest the previous Secret holds no key that works")
	}
}

// check is done with each Plan.
func (w *world) check(f *Facts, plan *Plan) {
	if again := Decide(f); !equality.Semantic.DeepEqual(again, *plan) {
		w.failf("another decision about the same facts: %s", sketch(f.Key.Generation, &again))
	}
	if plan.Asks() && plan.Step != StepNone {
		w.failf("it asks, and writes")
	}
	switch plan.Step {
	case StepSecret:
		w.checkSecret(f, &plan.Secret)
	case StepStatus:
		w.checkStatus(f, &plan.Status)
		w.checkConditions(f, &plan.Status)
	case StepRemove:
		// Only where it takes long are auth servers not waited for.
		if some := w.anyWorks(); some && !slices.ContainsFunc(plan.Waits, func(p Purpose) bool { return f.Acks[p].Slow }) {
			w.failf("the Secret is removed at once while a key works")
		}
	case StepRelease:
		if w.anyWorks() {
			w.failf("the APIKey goes while a key works")
		}
	case StepNone, StepFinalizer:
	}
}

func (w *world) anyWorks() bool {
	for server := range w.servers {
		if len(w.working(server)) > 0 {
			return true
		}
	}
	return false
}

// checkSecret: no key is published that the stored status does not have as accepted, or that
// some auth server has not loaded.
func (w *world) checkSecret(f *Facts, s *SecretWrite) {
	if s.KeyID == "" {
		return
	}
	v := versionOf(&f.Key.Status, s.KeyID)
	if v == nil || !v.State.Accepted() || v.Imported() || !f.Key.StatusIsOwn() || f.Key.Status.Acceptance != v1alpha1.AcceptanceAccepted {
		w.failf("key %s is published, which the status does not accept", s.KeyID)
	}
	if v.State == v1alpha1.VersionPending && !f.Acks[Purpose{Register, fmt.Sprintf("key %s, generation %d", v.ID, f.Key.Generation)}].Complete {
		w.failf("key %s is published without its ack", s.KeyID)
	}
	if f.Key.UID != w.key().UID {
		return // The write is going to fail.
	}
	if s.Mark != "" && f.Secret.Secret != nil && HeldVersion(f.Secret.Secret, &f.Key.Status) == v {
		return // It is marked, and stays what it is.
	}
	if _, every := w.accepts(s.KeyID); !every {
		w.failf("key %s is published, which some auth server does not know", s.KeyID)
	}
}

func (w *world) checkStatus(f *Facts, after *status) {
	if f.Key.ResourceVersion != w.key().ResourceVersion {
		return // The write is going to fail.
	}
	before := &f.Key.Status
	if !f.Key.StatusIsOwn() {
		before = &status{}
	}
	for i := range before.Versions {
		old := &before.Versions[i]
		v := versionOf(after, old.ID)
		if v != nil && v.State.Accepted() && old.State == v1alpha1.VersionRevoked {
			w.failf("key %s was revoked, and is accepted", v.ID)
		}
		if some, _ := w.accepts(old.ID); v == nil && some {
			w.failf("key %s is said to have ended, and some auth server accepts it", old.ID)
		}
	}
	minted := func(state v1alpha1.VersionState) (count int) {
		for i := range after.Versions {
			if v := &after.Versions[i]; v.State == state && !v.Imported() {
				count++
			}
		}
		return count
	}
	if len(after.Versions) > maxVersions || minted(v1alpha1.VersionPending) > 1 || minted(v1alpha1.VersionActive) > 1 || len(after.Imports) > 8 || len(after.RefusedImports) > 8 {
		w.failf("too many: %s", sketch(f.Key.Generation, &Plan{Step: StepStatus, Status: *after}))
	}
	w.checkAccepting(f, after)
	w.checkApplied(f, after)
}

// checkAccepting: keys are accepted only while they are permitted, and nothing stops them.
func (w *world) checkAccepting(f *Facts, after *status) {
	if !f.Key.DeletionTimestamp.IsZero() || after.Acceptance != v1alpha1.AcceptanceAccepted {
		return
	}
	o, expiry := f.Organization, f.Key.Spec.ExpirationTime
	switch {
	case o == nil || o.Refusal != "" || o.Spec.Suspend || !o.DeletionTimestamp.IsZero() || !f.Namespace.Permitted || f.Namespace.Unreadable || o.Blocks("team", "agent"),
		!scope.Of(f.Key.Spec.Scopes...).Without(scope.Of(o.EffectiveScopes()...)).Empty():
		w.failf("it accepts keys that are not permitted")
	case f.Key.Refusal != "" || f.Key.Spec.Suspend || expiry != nil && !f.Now.Before(expiry.Time):
		w.failf("it accepts keys that are stopped")
	}
}

// checkApplied: what is said to be applied, or to be refused, every auth server applies, or
// refuses.
func (w *world) checkApplied(f *Facts, after *status) {
	for server, applied := range w.servers {
		working := w.working(server)
		if len(working) == 0 {
			continue
		}
		if view := w.history[applied]; after.AppliedGeneration == f.Key.Generation && view.Generation < after.AppliedGeneration {
			w.failf("generation %d is said to be applied, and auth server %d accepts %v by generation %d", after.AppliedGeneration, server, working, view.Generation)
		}
		if condition(after, v1alpha1.ConditionRegistered).Reason == v1alpha1.ReasonRevoked {
			w.failf("no auth server is said to accept a key, and %d accepts %v", server, working)
		}
		if ready := condition(after, v1alpha1.ConditionReady); ready.Status == metav1.ConditionTrue && after.Acceptance != v1alpha1.AcceptanceAccepted {
			w.failf("it is Ready, reason %s, and auth server %d accepts %v", ready.Reason, server, working)
		}
	}
}

// checkConditions: they are as the API server takes them, and as people read them.
func (w *world) checkConditions(f *Facts, after *status) {
	for _, c := range after.Conditions {
		if c.Reason == "" || c.Message == "" || len(c.Message) > maxMessage || c.LastTransitionTime.After(f.Now) {
			w.failf("a condition is %+v", c)
		}
	}
	ready, serving := condition(after, v1alpha1.ConditionReady), condition(after, v1alpha1.ConditionServing)
	if is, ok := standings[ready.Reason]; !ok || is.aside || (ready.Status == metav1.ConditionTrue) != is.ready {
		w.failf("Ready is %+v", ready)
	}
	if v := active(after); serving.Status == metav1.ConditionTrue {
		if v == nil || after.Acceptance != v1alpha1.AcceptanceAccepted {
			w.failf("Serving is %+v without a key that works", serving)
		}
		if _, every := w.accepts(v.ID); !every && f.Key.ResourceVersion == w.key().ResourceVersion {
			w.failf("Serving is %+v, and some auth server refuses the key", serving)
		}
	}
	if condition(after, v1alpha1.ConditionReconciling).Status == metav1.ConditionTrue && condition(after, v1alpha1.ConditionStalled).Status == metav1.ConditionTrue {
		w.failf("it is both Reconciling and Stalled")
	}
}
