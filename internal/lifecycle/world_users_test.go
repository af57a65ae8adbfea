// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// Everybody who is not the manager: auth servers, which lag; the user of the APIKey; the
// admin; who may write its Secrets; and who restores a backup.

// catchUp has an auth server apply some of what was stored.
func (w *world) catchUp() {
	if len(w.servers) == 0 {
		return
	}
	server := w.roll(len(w.servers))
	w.servers[server] += w.roll(len(w.history) - w.servers[server])
}

// happen is one thing that happens.
func (w *world) happen() {
	switch w.roll(16) {
	case 0, 1, 2, 3, 4:
		w.catchUp()
	case 5, 6:
		w.pass(time.Duration(w.roll(2000)) * time.Millisecond)
	case 7:
		w.pass([]time.Duration{time.Minute, 16 * time.Minute, time.Hour, 26 * time.Hour, 200 * time.Hour}[w.roll(5)])
	case 8, 9, 10:
		w.apply()
	case 11:
		w.administrate()
	case 12, 13:
		w.attack()
	case 14:
		w.restart()
	case 15:
		w.misfortune()
	}
}

func (w *world) pass(by time.Duration) { w.now = w.now.Add(by) }

// apply has the user change the spec.
func (w *world) apply() {
	key := w.key().DeepCopy()
	spec := &key.Spec
	kind := w.roll(14)
	switch kind {
	case 0:
		spec.Suspend = !spec.Suspend
	case 1, 2:
		spec.RevokedKeyIDs = w.someIDs(1)
	case 3:
		spec.RevokedKeyIDs = nil
	case 4, 5:
		spec.ActiveKeyID = ""
		if some := w.someIDs(1); len(some) > 0 && !w.once(3) {
			spec.ActiveKeyID = some[0]
		}
	case 6:
		spec.Rotation.RotateAfter = ptr.To(metav1.NewTime(w.now.Add(time.Second)))
	case 7:
		spec.Rotation.Interval = []*metav1.Duration{nil, {Duration: 10 * time.Minute}, {Duration: 24 * time.Hour}}[w.roll(3)]
	case 8:
		spec.Rotation.Overlap.Max = []*metav1.Duration{nil, {}, {Duration: time.Minute}, {Duration: time.Hour}}[w.roll(4)]
		spec.Rotation.Overlap.Idle = []*metav1.Duration{nil, {}, {Duration: time.Minute}}[w.roll(3)]
	case 9, 10:
		listing([]string{"", "x", "x y", "y", "x' y", "x x'"}[w.roll(6)])(spec)
	case 11:
		spec.Scopes = [][]v1alpha1.Scope{nil, {"ingest"}, {"query", "ingest"}}[w.roll(3)]
	case 12:
		spec.Secret.Labels = []map[string]v1alpha1.LabelValue{nil, {"a": "b"}}[w.roll(2)]
		spec.Secret.Data = []map[string]v1alpha1.DataTemplate{nil, {"a": "$(API_KEY)"}, {"a": "$(NOBODY)"}}[w.roll(3)]
	case 13:
		spec.ExpirationTime = []*metav1.Time{nil, ptr.To(metav1.NewTime(w.now.Add(time.Hour).Truncate(time.Second))), ptr.To(metav1.NewTime(w.now))}[w.roll(3)]
	}
	key.Generation++
	w.note("the user's change %d makes generation %d", kind, key.Generation)
	w.store(key)
}

// someIDs are those of some versions, and maybe of none.
func (w *world) someIDs(count int) (ids []string) {
	for range count {
		if versions := w.key().Status.Versions; len(versions) > 0 {
			ids = append(ids, versions[w.roll(len(versions))].ID)
		}
	}
	return ids
}

// administrate has the admin change the Organization, or the namespace.
func (w *world) administrate() {
	o := w.organization
	kind := w.roll(8)
	switch kind {
	case 0:
		w.namespace.Permitted = !w.namespace.Permitted
	case 1, 2, 3:
		w.soothe()
	case 4:
		if o != nil {
			o.Spec.Suspend = !o.Spec.Suspend
		}
	case 5:
		if o != nil && len(o.Spec.Blocked) == 0 {
			block(o)
		}
	case 6:
		if o != nil {
			o.Spec.Imports = []v1alpha1.ImportPolicy{v1alpha1.ImportAny, v1alpha1.ImportForbidden}[w.roll(2)]
			o.Spec.MaxKeyAge = []*metav1.Duration{nil, {Duration: time.Hour}, {Duration: 72 * time.Hour}}[w.roll(3)]
			o.Spec.Scopes = [][]v1alpha1.Scope{nil, {"ingest"}}[w.roll(2)]
		}
	case 7:
		w.organization = nil
	}
	w.note("the admin's change %d", kind)
}

// soothe has the admin permit everything.
func (w *world) soothe() {
	w.organization = &v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: "acme"}, Spec: v1alpha1.OrganizationSpec{Imports: v1alpha1.ImportAny}}
	w.namespace = Namespace{Permitted: true}
}

// attack has somebody change one of the Secrets.
func (w *world) attack() {
	i := w.roll(2)
	s := w.secrets[i]
	kind := w.roll(10)
	w.note("an attack %d on Secret %d", kind, i)
	if s == nil {
		if kind < 2 {
			f := &Facts{Key: w.key().DeepCopy()}
			f.Key.UID = "another"
			w.secrets[i] = w.touch(secretOf(f, "planted", i == 1))
		}
		return
	}
	s = s.DeepCopy()
	switch kind {
	case 0, 1:
		w.secrets[i] = nil
		return
	case 2:
		s.Data[v1alpha1.SecretKeyAPIKey] = []byte("x")
	case 3:
		s.Data["HEXCOVERY_API_KEY"] = []byte("x")
	case 4:
		s.Immutable = ptr.To(true)
	case 5:
		s.OwnerReferences = nil
	case 6:
		s.Labels = nil
	case 7:
		if v := pending(&w.key().Status); v != nil {
			s.Annotations[v1alpha1.AnnotationAbandonedKeyID] = v.ID
		}
	case 8:
		if other := w.secrets[1-i]; other != nil {
			s.Data, s.Annotations = other.DeepCopy().Data, other.DeepCopy().Annotations
		}
	case 9:
		s.Type = "kubernetes.io/basic-auth"
	}
	w.secrets[i] = w.touch(s)
}

// misfortune is what happens to a cluster now and then.
func (w *world) misfortune() {
	kind := w.roll(6)
	w.note("misfortune %d", kind)
	switch kind {
	case 0, 1:
		what := w.roll(len(w.refusing))
		w.refusing[what] = !w.refusing[what]
	case 2:
		// A manifest that is replaced whole loses the finalizer.
		key := w.key().DeepCopy()
		key.Finalizers = nil
		w.store(key)
	case 3:
		w.rivals[hashOf("x")] = [][]Rival{nil, {{Same: true}}, {{Same: true, Senior: true}}, {{}}}[w.roll(4)]
	case 4:
		// An auth server joins, with all that is stored, or one goes.
		if len(w.servers) > 0 && w.once(2) {
			w.servers = w.servers[1:]
		} else if len(w.servers) < 4 {
			w.servers = append(w.servers, len(w.history)-1)
		}
	case 5:
		w.restore()
	}
}

// restore has the APIKey be made anew from a backup, with a status and Secrets that an
// earlier one had; a few have none.
func (w *world) restore() {
	from := w.history[w.roll(len(w.history))]
	key := from.DeepCopy()
	key.UID = types.UID(fmt.Sprintf("uid-%d", len(w.history)))
	key.CreationTimestamp, key.Generation, key.DeletionTimestamp, key.Finalizers = metav1.NewTime(w.now.Truncate(time.Second)), 1, nil, nil
	if w.once(3) {
		key.Status = v1alpha1.APIKeyStatus{}
	}
	w.note("restored from %s", from.ResourceVersion)
	w.store(key)
	w.process.seen = len(w.history) - 1
}

// working are the IDs of the keys that an auth server accepts, by what it has applied of the
// status: it may refuse some of them by itself.
func (w *world) working(server int) (ids []string) {
	key := w.history[w.servers[server]]
	s := &key.Status
	if !key.StatusIsOwn() || !key.DeletionTimestamp.IsZero() || s.Acceptance != v1alpha1.AcceptanceAccepted || key.UID != w.key().UID {
		return nil
	}
	for i := range s.Versions {
		if v := &s.Versions[i]; v.State.Accepted() {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

// accepts reports whether some auth server, or every one, accepts a key.
func (w *world) accepts(id string) (some, every bool) {
	every = true
	for server := range w.servers {
		works := slices.Contains(w.working(server), id)
		some, every = some || works, every && works
	}
	return some, every
}
