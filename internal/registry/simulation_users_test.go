// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// simVersion is a version of that name, whose key is the name itself.
func simVersion(name string) v1alpha1.KeyVersion {
	return v1alpha1.KeyVersion{ID: name, SHA256: digestOf(name).String(), State: v1alpha1.VersionPending, RegistrationTime: metav1.Now()}
}

// simPermitted are the labels of the namespaces that the Organization permits. Each
// APIKey has a namespace of its own, of its own name.
var simPermitted = map[string]string{"organization": "acme"}

// simStopped is a label by which the manager alone withdraws the keys of a namespace: it
// stands for what auth servers cannot judge.
const simStopped = "stopped"

func permitted(ns *metav1.PartialObjectMetadata) bool {
	return ns.Labels["organization"] == "acme" && ns.Labels[simStopped] == ""
}

// committed takes note of what may be demanded from this change on.
func (w *simWorld) committed(what watch.EventType, obj client.Object) {
	if ns, ok := obj.(*metav1.PartialObjectMetadata); ok && !permitted(ns) {
		w.end(ns.Name)
	}
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
		// Auth servers judge what the spec asks for before the manager acts on it.
		if v.State == v1alpha1.VersionRevoked || slices.Contains(apiKey.Spec.RevokedKeyIDs, v.ID) {
			w.keys[i].ending.Store(true)
		}
	}
	if what == watch.Deleted || apiKey.DeletionTimestamp != nil || w.refused[apiKey.Namespace] {
		w.endLocked(apiKey.Name)
	}
}

// end takes note of the end of every key of an APIKey whose namespace is not permitted
// any more.
func (w *simWorld) end(owner string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused[owner] = true
	w.endLocked(owner)
}

func (w *simWorld) endLocked(owner string) {
	for _, key := range w.keys {
		if key.owner == owner {
			key.ending.Store(true)
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
	ns := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: simPermitted}}
	if _, err := w.api.create(ns); err != nil {
		panic(err)
	}
	_, err := w.api.create(apiKey(name, "", name, func(k *v1alpha1.APIKey) {
		k.Namespace = name
		k.Finalizers = []string{v1alpha1.Finalizer}
		k.Status.Versions = []v1alpha1.KeyVersion{simVersion(name)}
		k.Status.AppliedGeneration = 0
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

// withdrawSome takes from a namespace what the Organization permits it by, or has the manager
// alone stop its keys.
func (w *simWorld) withdrawSome() {
	apiKey := w.someAPIKey(given)
	if apiKey == nil {
		return
	}
	ns := w.namespace(apiKey.Namespace)
	labels := map[string]string{"organization": "none"}
	if w.users.chance(0.5) {
		labels = map[string]string{"organization": "acme", simStopped: "yes"}
	}
	w.log.add("user", "namespace %s is no longer permitted: %v", ns.Name, labels)
	w.api.modify(ns, func() { ns.Labels = labels })
}

// relabelSome changes a label of a namespace that nobody asks for.
func (w *simWorld) relabelSome() {
	if apiKey := w.someAPIKey(func(*v1alpha1.APIKey) bool { return true }); apiKey != nil {
		ns := w.namespace(apiKey.Namespace)
		w.api.modify(ns, func() {
			ns.Labels = maps.Clone(ns.Labels)
			ns.Labels["note"] = ns.ResourceVersion
		})
	}
}

// endSome ends a key: that of an APIKey which is deleted, those that were replaced, or all of
// an APIKey's.
func (w *simWorld) endSome() {
	if apiKey := w.someAPIKey(overlapping); apiKey != nil && overlapping(apiKey) && w.users.chance(0.6) {
		all := w.users.chance(0.2)
		w.wish(apiKey, "keys be revoked", func(k *v1alpha1.APIKey) {
			for _, v := range k.Status.Versions {
				if v.State == v1alpha1.VersionRetiring || all && v.State.Accepted() {
					k.Spec.RevokedKeyIDs = append(k.Spec.RevokedKeyIDs, v.ID)
				}
			}
		})
		return
	}
	if w.users.chance(0.2) {
		w.withdrawSome()
		return
	}
	w.deleteSome()
}

// rotateSome has a key be replaced.
func (w *simWorld) rotateSome() {
	w.wish(w.someAPIKey(given), "its key be replaced", func(k *v1alpha1.APIKey) {
		k.Spec.ActiveKeyID, k.Spec.Rotation.RotateAfter = "", ptr.To(metav1.Now())
	})
}

// undoSome has a rotation be undone.
func (w *simWorld) undoSome() {
	w.wish(w.someAPIKey(overlapping), "its rotation be undone", func(k *v1alpha1.APIKey) {
		for _, v := range k.Status.Versions {
			if v.State == v1alpha1.VersionRetiring && !slices.Contains(k.Spec.RevokedKeyIDs, v.ID) {
				k.Spec.ActiveKeyID = v.ID
			}
		}
	})
}

// wish changes what the spec asks for.
func (w *simWorld) wish(apiKey *v1alpha1.APIKey, what string, set func(*v1alpha1.APIKey)) {
	if apiKey == nil {
		return
	}
	w.log.add("user", "%s: let %s", apiKey.Name, what)
	w.api.modify(apiKey, func() { set(apiKey) })
}

// unfinished says which wish was not acted on, or which version is between two states.
func (w *simWorld) unfinished() string {
	for _, obj := range w.api.present(simKeys) {
		apiKey := obj.(*v1alpha1.APIKey)
		if apiKey.Status.AppliedGeneration != apiKey.Generation {
			return fmt.Sprintf("generation %d of %s is not said to be applied", apiKey.Generation, apiKey.Name)
		}
		if !permitted(w.namespace(apiKey.Namespace)) {
			continue // Nothing of it works, and that was reported.
		}
		if !simSatisfied(apiKey) || hasVersion(apiKey, v1alpha1.VersionPending) || hasVersion(apiKey, v1alpha1.VersionRevoked) {
			return simDescribe(apiKey).String() + ", is not finished"
		}
	}
	return ""
}

// simSatisfied reports whether everything that the spec asks for was acted on, as far as
// there is room.
func simSatisfied(apiKey *v1alpha1.APIKey) bool {
	for _, v := range apiKey.Status.Versions {
		if v.State.Accepted() && slices.Contains(apiKey.Spec.RevokedKeyIDs, v.ID) ||
			v.State == v1alpha1.VersionRetiring && v.ID == apiKey.Spec.ActiveKeyID && given(apiKey) {
			return false
		}
	}
	return simRetiring(apiKey) <= simMostRetiring && (!simDue(apiKey) || len(apiKey.Status.Versions) >= simMostVersions)
}
