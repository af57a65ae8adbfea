// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"testing"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// listener counts what a progress tells its session.
type listener struct {
	woken  int
	failed error
}

func listenedStores() (keyStore, organizationStore, *listener) {
	l := &listener{}
	ix := newIndex(nil)
	notify, fail := func() { l.woken++ }, func(err error) { l.failed = err }
	refusals := newRefusalLog(logr.Discard(), kindAPIKey, clock.RealClock{})
	return keyStore{ix, newProgress(clock.RealClock{}, notify, fail), refusals},
		organizationStore{ix, newProgress(clock.RealClock{}, notify, fail), refusals}, l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// says has the manager say in one write that the keys are accepted, or not, and that this
// is yet to be applied.
func says(a v1alpha1.Acceptance) func(*v1alpha1.APIKey) {
	return func(k *v1alpha1.APIKey) { k.Status.Acceptance, k.Status.AppliedGeneration = a, 0 }
}

// anew is an APIKey whose spec was changed.
func anew(k *v1alpha1.APIKey) { k.Generation++ }

func TestAChangeIsReportedAtOnceWhenSomebodyMayWaitForIt(t *testing.T) {
	pending := func(k *v1alpha1.APIKey) { k.Status.Versions[0].State = v1alpha1.VersionPending }
	deleted := func(k *v1alpha1.APIKey) { k.DeletionTimestamp = &metav1.Time{Time: epoch} }
	unversioned := func(k *v1alpha1.APIKey) { k.Status.Versions = nil }
	for name, test := range map[string]struct {
		before, after *v1alpha1.APIKey
		want          bool
	}{
		"a hash was registered":    {apiKey("a", "2", "s", unversioned), apiKey("a", "3", "s", pending), true},
		"an APIKey has no key yet": {apiKey("a", "2", "s", unversioned), apiKey("a", "3", "s", unversioned), false},
		"a key is being deleted":   {apiKey("a", "2", "s"), apiKey("a", "3", "s", deleted), true},
		"a deletion goes on, of a key that was never accepted": {
			apiKey("a", "2", "s", deleted, unversioned), apiKey("a", "3", "s", deleted, unversioned), true},
		"a key was suspended": {
			apiKey("a", "2", "s"), apiKey("a", "3", "s", func(k *v1alpha1.APIKey) { k.Spec.Suspend = true }), true},
		"a hash was replaced": {apiKey("a", "2", "s"), apiKey("a", "3", "other"), true},
		"a key was narrowed": {
			apiKey("a", "2", "s"), apiKey("a", "3", "s", func(k *v1alpha1.APIKey) { k.Spec.Scopes = []v1alpha1.Scope{v1alpha1.ScopeQuery} }), true},
		"a spec changed": {
			apiKey("a", "2", "s"), apiKey("a", "3", "s", anew), true},
		"a status was written while a spec is yet to be applied": {
			apiKey("a", "2", "s", anew), apiKey("a", "3", "s", anew), true},
		"a spec is applied everywhere": {apiKey("a", "2", "s", anew), apiKey("a", "3", "s"), false},
		"a key was withdrawn":          {apiKey("a", "2", "s"), apiKey("a", "3", "s", says(v1alpha1.AcceptanceWithdrawn)), true},
		"a key was found expired":      {apiKey("a", "2", "s"), apiKey("a", "3", "s", says(v1alpha1.AcceptanceExpired)), true},
		"a key is given again": {
			apiKey("a", "2", "s", acceptance(v1alpha1.AcceptanceWithdrawn)), apiKey("a", "3", "s", says(v1alpha1.AcceptanceAccepted)), true},
		"a withdrawal is applied everywhere": {
			apiKey("a", "2", "s", says(v1alpha1.AcceptanceWithdrawn)), apiKey("a", "3", "s", acceptance(v1alpha1.AcceptanceWithdrawn)), false},
		"only a label changed": {
			apiKey("a", "2", "s"), apiKey("a", "3", "s", func(k *v1alpha1.APIKey) { k.Labels = map[string]string{"a": "b"} }), false},
	} {
		t.Run(name, func(t *testing.T) {
			store, _, l := listenedStores()
			must(t, store.Replace([]any{test.before}, "2"))
			l.woken = 0
			must(t, store.Update(test.after))
			if l.woken != 0 {
				t.Error("reported before the revision was reached")
			}
			store.UpdateResourceVersion("3")
			if got := l.woken == 1; got != test.want {
				t.Errorf("reported %d times at once, want at once: %t", l.woken, test.want)
			}
			if l.failed != nil {
				t.Error(l.failed)
			}
		})
	}
}

func TestOnlyWhatIsInTheIndexIsReported(t *testing.T) {
	store, organizations, l := listenedStores()
	if store.revision() != nothingApplied {
		t.Errorf("reports %s before the first list", store.revision())
	}
	must(t, organizations.Replace([]any{acme("5")}, "5"))
	must(t, store.Replace([]any{apiKey("a", "7", "s")}, "9"))
	if store.revision() != "9" || organizations.revision() != "5" {
		t.Errorf("reports %s and %s", store.revision(), organizations.revision())
	}
	must(t, store.Update(apiKey("a", "12", "new")))
	if store.revision() != "9" {
		t.Errorf("reports %s in the middle of an event", store.revision())
	}
	store.UpdateResourceVersion("12")
	if store.revision() != "12" || verdictAt(store.index, "new", epoch) != Accepted {
		t.Errorf("reports %s", store.revision())
	}
	must(t, store.Delete(cache.DeletedFinalStateUnknown{Key: "team/a", Obj: apiKey("a", "12", "new")}))
	if verdictAt(store.index, "new", epoch) != Unknown {
		t.Error("a tombstone was passed over")
	}
	must(t, organizations.Delete(acme("20")))
	if l.failed != nil {
		t.Error(l.failed)
	}
}

// The reflector logs an error of a store, and goes on to the next event. So what
// cannot be applied has to end the session by itself.
func TestWhatCannotBeAppliedEndsTheSession(t *testing.T) {
	wrong := &v1alpha1.APIKeyList{}
	for name, happens := range map[string]func(keyStore, organizationStore) error{
		"an added object of another kind":       func(k keyStore, _ organizationStore) error { return k.Add(wrong) },
		"a changed object of another kind":      func(k keyStore, _ organizationStore) error { return k.Update(wrong) },
		"a deleted object of another kind":      func(k keyStore, _ organizationStore) error { return k.Delete(wrong) },
		"a listed object of another kind":       func(k keyStore, _ organizationStore) error { return k.Replace([]any{wrong}, "3") },
		"an added organization of another kind": func(_ keyStore, o organizationStore) error { return o.Add(wrong) },
		"a deleted organization that is none":   func(_ keyStore, o organizationStore) error { return o.Delete(wrong) },
		"a listed organization that is none":    func(_ keyStore, o organizationStore) error { return o.Replace([]any{wrong}, "3") },
		"a revision that cannot be compared": func(k keyStore, _ organizationStore) error {
			k.UpdateResourceVersion("many")
			return nil
		},
		"a revision that goes back": func(k keyStore, _ organizationStore) error {
			k.UpdateResourceVersion("1")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			keys, organizations, l := listenedStores()
			must(t, keys.Replace(nil, "2"))
			must(t, organizations.Replace(nil, "2"))
			must(t, happens(keys, organizations))
			if l.failed == nil {
				t.Error("the session goes on")
			}
		})
	}
}
