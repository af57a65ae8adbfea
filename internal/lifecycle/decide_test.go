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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// quiet is a world in which nobody interferes, and auth servers apply everything at once.
func quiet(t *testing.T) *world {
	w := newWorld(t, rolling(1))
	w.calm, w.servers = true, []int{0, 0}
	return w
}

// journey is what is decided in one look after a change of the APIKey.
func (w *world) journey(change func(*v1alpha1.APIKey)) (steps []string) {
	key := w.key().DeepCopy()
	change(key)
	w.store(key)
	w.steps = func(step string) { steps = append(steps, step) }
	w.look(w.follow)
	w.steps = nil
	return steps
}

// follow has auth servers apply what is stored.
func (w *world) follow() {
	for server := range w.servers {
		w.servers[server] = len(w.history) - 1
	}
}

func TestTheStepsOfAKey(t *testing.T) {
	w := quiet(t)
	w.pass(time.Hour)
	for _, stage := range []struct {
		name   string
		change func(*v1alpha1.APIKey)
		steps  []string
	}{
		{"it is applied", func(*v1alpha1.APIKey) {}, []string{
			"ask Secrets", "ask Digest", "Finalizer", "Status key-1:Pending",
			"ask register key key-1, generation 1", "Secret key-1", "Status key-1:Active", "nothing",
		}},
		{"nothing has changed", func(*v1alpha1.APIKey) {}, []string{"nothing"}},
		{"it is rotated", func(k *v1alpha1.APIKey) {
			k.Generation = 2
			k.Spec.Rotation.RotateAfter = ptr.To(metav1.NewTime(w.now.Add(time.Second)))
			w.pass(time.Second)
		}, []string{
			"ask Digest; revoke generation 2", "Status key-1:Active key-2:Pending", "ask register key key-2, generation 2",
			"ask Secrets", "Secret key-1 previous", "Secret key-2", "Status key-1:Retiring key-2:Active", "nothing",
		}},
		{"the rotation is undone", func(k *v1alpha1.APIKey) {
			k.Generation = 3
			k.Spec.ActiveKeyID = idOf("key-1")
		}, []string{
			"ask Secrets", "ask revoke generation 3", "Status key-1:Active key-2:Retiring",
			"Secret key-1", "Status key-1:Active key-2:Retiring", "Secret key-2 previous", "nothing",
		}},
		{"the newer key is revoked", func(k *v1alpha1.APIKey) {
			k.Generation = 4
			k.Spec.RevokedKeyIDs = []string{idOf("key-2")}
		}, []string{
			"Status key-1:Active key-2:Revoked(Requested) unapplied", "ask Secrets; revoke key-2; revoke generation 4", "Status key-1:Active",
			"Secret delete previous", "nothing",
		}},
		{"its Secret is deleted", func(*v1alpha1.APIKey) { w.secrets[0] = nil }, []string{
			"ask Secrets", "ask Digest", "Status key-1:Revoked(SecretDrifted) key-3:Pending", "ask revoke key-1; register key key-3, generation 4",
			"Status key-3:Pending", "Secret key-3", "Status key-3:Active",
			// That the key of spec.activeKeyID cannot be had.
			"Status key-3:Active", "nothing",
		}},
		{"it is suspended", func(k *v1alpha1.APIKey) { k.Generation, k.Spec.Suspend = 5, true }, []string{
			"Status key-3:Active Withdrawn unapplied", "ask revoke withdrawn, generation 5", "Status key-3:Active Withdrawn", "nothing",
		}},
		{"it is resumed", func(k *v1alpha1.APIKey) { k.Generation, k.Spec.Suspend = 6, false }, []string{
			"Status key-3:Active unapplied", "ask register key key-3 again, generation 6; revoke generation 6", "Status key-3:Active", "nothing",
		}},
		{"it is deleted", func(k *v1alpha1.APIKey) { k.DeletionTimestamp = ptr.To(metav1.NewTime(w.now)) }, []string{
			"ask revoke deleted uid-0", "Remove", "Release",
		}},
	} {
		if got := w.journey(stage.change); !slices.Equal(got, stage.steps) {
			t.Fatalf("%s:\ngot  %s\nwant %s", stage.name, strings.Join(got, "\n     "), strings.Join(stage.steps, "\n     "))
		}
	}
	if !w.gone || w.secrets[0] != nil || w.secrets[1] != nil {
		t.Error("something is left of it")
	}
}

// TestAProcessMayEndBetweenAnyTwoWrites has it end at each step of a first key, of a rotation,
// and of going back.
func TestAProcessMayEndBetweenAnyTwoWrites(t *testing.T) {
	rotated := func(w *world) {
		w.journey(func(*v1alpha1.APIKey) {})
		w.pass(time.Hour)
	}
	rotate := func(w *world) func(*v1alpha1.APIKey) {
		return func(k *v1alpha1.APIKey) {
			k.Generation++
			k.Spec.Rotation.RotateAfter = ptr.To(metav1.NewTime(w.now))
		}
	}
	for name, test := range map[string]struct {
		before func(*world)
		change func(*world) func(*v1alpha1.APIKey)
		// keys is the most that are minted.
		keys int
	}{
		"a first key": {func(*world) {}, func(*world) func(*v1alpha1.APIKey) { return func(*v1alpha1.APIKey) {} }, 2},
		"a rotation":  {rotated, rotate, 3},
		"going back": {func(w *world) { rotated(w); w.journey(rotate(w)) }, func(*world) func(*v1alpha1.APIKey) {
			return func(k *v1alpha1.APIKey) { k.Generation++; k.Spec.ActiveKeyID = idOf("key-1") }
		}, 2},
	} {
		for end := range 12 {
			t.Run(fmt.Sprintf("%s, step %d", name, end), func(t *testing.T) {
				w := quiet(t)
				test.before(w)
				key := w.key().DeepCopy()
				test.change(w)(key)
				w.store(key)
				step := 0
				w.look(func() {
					if w.follow(); step == end {
						w.restart()
					}
					step++
				})
				w.settleDown()
				if w.minted > test.keys {
					t.Errorf("%d keys were minted", w.minted)
				}
				if want := w.key().Spec.ActiveKeyID; want != "" && w.key().Status.KeyID != want {
					t.Errorf("the current key is %s", names[w.key().Status.KeyID])
				}
				if drift := w.key().Status.Drift; drift != nil {
					t.Errorf("it passes for drift: %+v", drift)
				}
			})
		}
	}
}

func TestDecide(t *testing.T) {
	decide(t, map[string]row{
		"what is revoked is written before anything is asked of the API server": {
			facts: given("a:Retiring b:Active", spec(revoking("a")), noSecret), want: "Status a:Revoked(Requested) b:Active unapplied"},
		"a new key is a part of the same write, and asked for first": {
			facts: given("a:Active", spec(revoking("a")), noSecret, live), want: "ask Digest"},
		"so is a hash that is reserved": {
			facts: given("a:Active +x:Active", spec(listing("y")), noSecret), want: "ask Secrets; claim y"},
		"a permission is confirmed first": {
			facts: given("a:Active +x:Revoked(Unlisted)", unpermitted, dropped("x", complete)), want: "ask Permission"},
		"a status of another UID revokes nothing, and waits for what is asked": {
			facts: given("a:Active", spec(suspend), stored(func(s *status) { s.UID = "earlier" }), noSecret), want: "Status Withdrawn"},
		"a status that has changed is written before a Secret": {
			facts: given("a:Active", always(labelled), stored(func(s *status) { s.Scopes = nil }), live), want: "Status a:Active"},
		"what only people read is written after it": {
			facts: given("a:Active", always(labelled), stored(func(s *status) { s.Conditions = nil }), live), want: "Secret a"},
		"a wait of milliseconds is no write for what only people read": {
			facts: given("a:Active", spec(redescribe), stored(func(s *status) { s.Conditions = nil }), applied(quick)), want: "nothing"},
		"an unknown state of a version is left alone": {
			facts: given("a:Active", stored(func(s *status) { s.Versions = append(s.Versions, versionsOf("z:Unheard")...) })), want: "nothing"},
	})
}

func TestWaitsAreThoseThatAreNotOver(t *testing.T) {
	plan := Decide(given("a:Revoked(Unused) b:Active", spec(redescribe), dropped("a", quick), applied(slow)))
	if want := []Purpose{{Revoke, idOf("a")}, {Revoke, "generation 4"}}; !slices.Equal(plan.Waits, want) || plan.Again != time.Second {
		t.Errorf("waits for %v, looks again after %s", plan.Waits, plan.Again)
	}
	plan = Decide(given("a:Revoked(Unused) b:Active", spec(redescribe), dropped("a", complete), applied(complete)))
	if len(plan.Waits) != 0 || plan.Again != 0 {
		t.Errorf("waits for %v, looks again after %s", plan.Waits, plan.Again)
	}
}

func TestTheFactsAreNotChanged(t *testing.T) {
	for name, build := range map[string]func() *Facts{
		"a first key": func() *Facts { return given("", live, fresh("n")) },
		"a rotation":  func() *Facts { return given("a:Active b:Pending", minted("b"), loaded("b", complete), live) },
		"a loss":      func() *Facts { return given("a:Retiring b:Active", noSecret, live, fresh("n")) },
		"an import": func() *Facts {
			return given("a:Active", always(listing("x y")), reserved("x", true), reserved("y", false))
		},
		"a block":      func() *Facts { return given("a:Active +x:Active", organization(block), confirmed) },
		"a retirement": func() *Facts { return given("a:Retiring b:Active", always(overlapping(time.Minute))) },
		"a pruning":    func() *Facts { return given("a:Revoked(Unused) b:Active", dropped("a", complete)) },
		"a deletion":   func() *Facts { return deleted(gone(slow), func(f *Facts) { f.Removed = true }) },
		"a backup":     func() *Facts { return given("a:Active", stored(func(s *status) { s.UID = "earlier" }), live) },
	} {
		f := build()
		Decide(f)
		if !reflect.DeepEqual(f, build()) {
			t.Errorf("%s: they are", name)
		}
	}
}
