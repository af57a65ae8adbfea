// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"math/rand/v2"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// simVersion is a version of that name, whose key is the name itself.
func simVersion(name string) v1alpha1.KeyVersion {
	return v1alpha1.KeyVersion{ID: name, SHA256: digestOf(name).String(), State: v1alpha1.VersionPending}
}

// committed takes note of what may be demanded from this change on.
func (w *simWorld) committed(what watch.EventType, obj client.Object) {
	apiKey, ok := obj.(*v1alpha1.APIKey)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range apiKey.Status.Versions {
		i := slices.IndexFunc(w.keys, func(k *simKey) bool { return k.name == v.ID })
		if i < 0 {
			i = len(w.keys)
			w.keys = append(w.keys, &simKey{name: v.ID, owner: apiKey.Name, digest: digestOf(v.ID)})
		}
		if v.State == v1alpha1.VersionRevoked {
			w.keys[i].ending.Store(true)
		}
	}
	if what == watch.Deleted || apiKey.DeletionTimestamp != nil {
		for _, key := range w.keys {
			if key.owner == apiKey.Name {
				key.ending.Store(true)
			}
		}
	}
}

// mint makes an APIKey with its first key, as a user and the manager do.
func (w *simWorld) mint() {
	w.mu.Lock()
	name := fmt.Sprintf("k%d", len(w.owners)+1)
	w.owners = append(w.owners, name)
	w.mu.Unlock()
	w.log.add("user", "%s is made", name)
	_, err := w.api.create(apiKey(name, "", name, func(k *v1alpha1.APIKey) {
		k.Finalizers = []string{v1alpha1.Finalizer}
		k.Status.Versions = []v1alpha1.KeyVersion{simVersion(name)}
		k.Status.Conditions[1] = metav1.Condition{Type: v1alpha1.ConditionRegistered, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonWaitingForAuthServers}
	}))
	if err != nil {
		panic(err)
	}
}

// someAPIKey draws an APIKey that is not being deleted, and suits if there is such a
// one; nil if there is none.
func (w *simWorld) someAPIKey(suits func(*v1alpha1.APIKey) bool) (drawn *v1alpha1.APIKey) {
	var all, suiting []*v1alpha1.APIKey
	for _, obj := range w.api.present(simKeys) {
		if apiKey := obj.(*v1alpha1.APIKey); apiKey.DeletionTimestamp == nil {
			all = append(all, apiKey)
			if suits(apiKey) {
				suiting = append(suiting, apiKey)
			}
		}
	}
	if len(suiting) > 0 {
		all = suiting
	}
	if len(all) > 0 {
		w.users.draw(func(rng *rand.Rand) { drawn = all[rng.IntN(len(all))].DeepCopy() })
	}
	return drawn
}

// given reports whether a key of an APIKey was given out.
func given(apiKey *v1alpha1.APIKey) bool { return hasVersion(apiKey, v1alpha1.VersionActive) }

// overlapping reports whether a key that was replaced still works.
func overlapping(apiKey *v1alpha1.APIKey) bool { return hasVersion(apiKey, v1alpha1.VersionRetiring) }

func hasVersion(apiKey *v1alpha1.APIKey, state v1alpha1.VersionState) bool {
	return slices.ContainsFunc(apiKey.Status.Versions, func(v v1alpha1.KeyVersion) bool { return v.State == state })
}

// deleteSome deletes an APIKey, one whose key was given out if there is one.
func (w *simWorld) deleteSome() {
	apiKey := w.someAPIKey(given)
	if apiKey == nil {
		return
	}
	w.log.add("user", "%s is deleted", apiKey.Name)
	if err := w.api.remove(apiKey, nil); err != nil {
		panic(err)
	}
}

// endSome ends a key: that of an APIKey which is deleted, or one that was replaced.
func (w *simWorld) endSome() {
	if apiKey := w.someAPIKey(overlapping); apiKey != nil && overlapping(apiKey) && w.users.chance(0.6) {
		w.wish(apiKey, "its replaced keys be retired", func(r *v1alpha1.Rotation, wish string) { r.Retire = wish })
		return
	}
	w.deleteSome()
}

// rotateSome has a key be replaced.
func (w *simWorld) rotateSome() {
	w.wish(w.someAPIKey(given), "its key be replaced", func(r *v1alpha1.Rotation, wish string) { r.Trigger = wish })
}

// undoSome has a rotation be undone.
func (w *simWorld) undoSome() {
	w.wish(w.someAPIKey(overlapping), "its rotation be undone", func(r *v1alpha1.Rotation, wish string) { r.Undo = wish })
}

// wish changes what the spec asks for. The text is one that it never had.
func (w *simWorld) wish(apiKey *v1alpha1.APIKey, what string, set func(*v1alpha1.Rotation, string)) {
	if apiKey == nil {
		return
	}
	w.log.add("user", "%s: let %s", apiKey.Name, what)
	w.api.modify(apiKey, func() { set(&apiKey.Spec.Rotation, apiKey.ResourceVersion) })
}

// unfinished says which wish was not acted on, or which version is between two states.
func (w *simWorld) unfinished() string {
	for _, obj := range w.api.present(simKeys) {
		apiKey := obj.(*v1alpha1.APIKey)
		if !simSatisfied(apiKey) || hasVersion(apiKey, v1alpha1.VersionPending) || hasVersion(apiKey, v1alpha1.VersionRevoked) {
			return simDescribe(apiKey).String() + ", is not finished"
		}
	}
	return ""
}

// simSatisfied reports whether everything that the spec asks for was acted on.
func simSatisfied(apiKey *v1alpha1.APIKey) bool {
	wanted, done := apiKey.Spec.Rotation, simRotation(apiKey)
	return wanted.Trigger == done.Trigger && wanted.Retire == done.Retire && wanted.Undo == done.Undo
}

func simRotation(apiKey *v1alpha1.APIKey) v1alpha1.RotationStatus {
	if apiKey.Status.Rotation == nil {
		return v1alpha1.RotationStatus{}
	}
	return *apiKey.Status.Rotation
}
