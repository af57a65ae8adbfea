// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// simKind is one of the kinds that the simulated API server knows.
type simKind string

const (
	simKeys          simKind = "apikeys"
	simOrganizations simKind = "organizations"
	simNamespaces    simKind = "namespaces"
	simLeases        simKind = "leases"
)

func simKindOf(obj runtime.Object) simKind {
	switch obj.(type) {
	case *v1alpha1.APIKey, *v1alpha1.APIKeyList:
		return simKeys
	case *v1alpha1.Organization, *v1alpha1.OrganizationList:
		return simOrganizations
	case *metav1.PartialObjectMetadata, *metav1.PartialObjectMetadataList:
		return simNamespaces
	case *coordinationv1.Lease, *coordinationv1.LeaseList:
		return simLeases
	}
	panic(fmt.Sprintf("the simulated API server does not know %T", obj))
}

func (k simKind) resource() schema.GroupResource { return schema.GroupResource{Resource: string(k)} }

// bookmark returns a bookmark of this kind.
func (k simKind) bookmark(revision int64, initialEventsEnd bool) watch.Event {
	annotations := map[string]string{}
	if initialEventsEnd {
		annotations[metav1.InitialEventsAnnotationKey] = "true"
	}
	meta := metav1.ObjectMeta{ResourceVersion: simRevision(revision), Annotations: annotations}
	switch k {
	case simKeys:
		return watch.Event{Type: watch.Bookmark, Object: &v1alpha1.APIKey{ObjectMeta: meta}}
	case simOrganizations:
		return watch.Event{Type: watch.Bookmark, Object: &v1alpha1.Organization{ObjectMeta: meta}}
	case simNamespaces:
		return watch.Event{Type: watch.Bookmark, Object: &metav1.PartialObjectMetadata{ObjectMeta: meta}}
	case simLeases:
	}
	return watch.Event{Type: watch.Bookmark, Object: &coordinationv1.Lease{ObjectMeta: meta}}
}

func simRevision(revision int64) string { return strconv.FormatInt(revision, 10) }

// simStore is what the simulated API server stores of one kind, with its history.
type simStore struct {
	// history has each change, in order.
	history []simChange
	// versions of each object, in order.
	versions map[types.NamespacedName][]simChange
	// changed is closed at the next change.
	changed chan struct{}
}

// simChange is one change of one object. Its object is never changed again.
type simChange struct {
	revision int64
	at       time.Time
	what     watch.EventType
	object   client.Object
}

// simAPI is an API server in memory. As etcd does, it has one revision counter for
// all kinds. Nothing here waits: delays and failures are the network's.
type simAPI struct {
	mu       sync.Mutex
	revision int64
	uids     int
	stores   map[simKind]*simStore
	// serving is closed when the API server ends, and all streams with it; nil while
	// it is down.
	serving chan struct{}
	// committed is called with each change, before anybody can see it.
	committed func(watch.EventType, client.Object)
}

func newSimAPI() *simAPI {
	api := &simAPI{
		revision: 1000, stores: map[simKind]*simStore{}, serving: make(chan struct{}), committed: func(watch.EventType, client.Object) {},
	}
	for _, kind := range []simKind{simKeys, simOrganizations, simNamespaces, simLeases} {
		api.stores[kind] = &simStore{versions: map[types.NamespacedName][]simChange{}, changed: make(chan struct{})}
	}
	return api
}

// setDown ends the API server, or starts it again. What it stores is in etcd.
func (a *simAPI) setDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case down && a.serving != nil:
		close(a.serving)
		a.serving = nil
	case !down && a.serving == nil:
		a.serving = make(chan struct{})
	}
}

// served returns what is closed when the API server ends, or nil if it is down.
func (a *simAPI) served() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.serving
}

func simCopy(obj client.Object) client.Object { return obj.DeepCopyObject().(client.Object) }

// commit stores obj, which is the store's own from now on, at the next revision.
func (a *simAPI) commit(what watch.EventType, obj client.Object) {
	store := a.stores[simKindOf(obj)]
	a.revision++
	obj.SetResourceVersion(simRevision(a.revision))
	a.committed(what, obj)
	change := simChange{revision: a.revision, at: time.Now(), what: what, object: obj}
	store.history = append(store.history, change)
	name := client.ObjectKeyFromObject(obj)
	store.versions[name] = append(store.versions[name], change)
	close(store.changed)
	store.changed = make(chan struct{})
}

// current returns the object of that name as it is, or nil.
func (s *simStore) current(name types.NamespacedName) client.Object {
	versions := s.versions[name]
	if len(versions) == 0 || versions[len(versions)-1].what == watch.Deleted {
		return nil
	}
	return versions[len(versions)-1].object
}

// at returns the objects as they were at revision, by name.
func (s *simStore) at(revision int64) []client.Object {
	var objects []client.Object
	for _, versions := range s.versions {
		for _, v := range slices.Backward(versions) {
			if v.revision > revision {
				continue
			}
			if v.what != watch.Deleted {
				objects = append(objects, v.object)
			}
			break
		}
	}
	slices.SortFunc(objects, func(a, b client.Object) int {
		if a.GetName() < b.GetName() {
			return -1
		}
		return 1
	})
	return objects
}

func (a *simAPI) get(into client.Object, name types.NamespacedName) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	kind := simKindOf(into)
	found := a.stores[kind].current(name)
	if found == nil {
		return apierrors.NewNotFound(kind.resource(), name.Name)
	}
	simAssign(into, found)
	return nil
}

// simAssign makes into a copy of from.
func simAssign(into, from client.Object) {
	switch into := into.(type) {
	case *v1alpha1.APIKey:
		from.(*v1alpha1.APIKey).DeepCopyInto(into)
	case *v1alpha1.Organization:
		from.(*v1alpha1.Organization).DeepCopyInto(into)
	case *metav1.PartialObjectMetadata:
		from.(*metav1.PartialObjectMetadata).DeepCopyInto(into)
	case *coordinationv1.Lease:
		from.(*coordinationv1.Lease).DeepCopyInto(into)
	}
}

func (a *simAPI) create(obj client.Object) (client.Object, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	kind := simKindOf(obj)
	if a.stores[kind].current(client.ObjectKeyFromObject(obj)) != nil {
		return nil, apierrors.NewAlreadyExists(kind.resource(), obj.GetName())
	}
	stored := simCopy(obj)
	a.uids++
	stored.SetUID(types.UID(fmt.Sprintf("uid-%d", a.uids)))
	stored.SetCreationTimestamp(metav1.NewTime(time.Now()))
	if key, ok := stored.(*v1alpha1.APIKey); ok {
		// It is made with a status, as if the manager had written it already.
		key.Status.UID, key.Generation = key.UID, 1
	}
	a.commit(watch.Added, stored)
	return simCopy(stored), nil
}

// update replaces an object if it is as obj says. An APIKey whose last finalizer
// goes while it is being deleted is gone.
func (a *simAPI) update(obj client.Object) (client.Object, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	kind := simKindOf(obj)
	found := a.stores[kind].current(client.ObjectKeyFromObject(obj))
	switch {
	case found == nil && kind == simLeases:
		// A PUT may make a Lease, so what is refused is its UID.
		return nil, apierrors.NewConflict(kind.resource(), obj.GetName(), fmt.Errorf("UID in precondition: %s", obj.GetUID()))
	case found == nil:
		return nil, apierrors.NewNotFound(kind.resource(), obj.GetName())
	case found.GetUID() != obj.GetUID(), found.GetResourceVersion() != obj.GetResourceVersion():
		return nil, apierrors.NewConflict(kind.resource(), obj.GetName(), fmt.Errorf("it is at %s", found.GetResourceVersion()))
	}
	stored := simCopy(obj)
	if key, ok := stored.(*v1alpha1.APIKey); ok {
		before := found.(*v1alpha1.APIKey)
		if key.Generation = before.Generation; !equality.Semantic.DeepEqual(before.Spec, key.Spec) {
			key.Generation++
		}
	}
	if stored.GetDeletionTimestamp() != nil && len(stored.GetFinalizers()) == 0 {
		a.commit(watch.Deleted, stored)
		return simCopy(stored), nil
	}
	a.commit(watch.Modified, stored)
	return simCopy(stored), nil
}

// remove deletes an object, or, if it has finalizers, says in it that it is being
// deleted.
func (a *simAPI) remove(obj client.Object, preconditions *metav1.Preconditions) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	kind := simKindOf(obj)
	found := a.stores[kind].current(client.ObjectKeyFromObject(obj))
	if found == nil {
		return apierrors.NewNotFound(kind.resource(), obj.GetName())
	}
	if p := preconditions; p != nil {
		if p.UID != nil && *p.UID != found.GetUID() || p.ResourceVersion != nil && *p.ResourceVersion != found.GetResourceVersion() {
			return apierrors.NewConflict(kind.resource(), obj.GetName(), fmt.Errorf("it is at %s", found.GetResourceVersion()))
		}
	}
	stored := simCopy(found)
	if len(stored.GetFinalizers()) == 0 {
		a.commit(watch.Deleted, stored)
		return nil
	}
	if stored.GetDeletionTimestamp() == nil {
		stored.SetDeletionTimestamp(&metav1.Time{Time: time.Now()})
		stored.SetGeneration(stored.GetGeneration() + 1)
		a.commit(watch.Modified, stored)
	}
	return nil
}

// modify is a user's change of an object that is there.
func (a *simAPI) modify(obj client.Object, change func()) {
	if err := a.get(obj, client.ObjectKeyFromObject(obj)); err != nil {
		return
	}
	change()
	// Nobody comes in between: users do not wait.
	_, _ = a.update(obj)
}

// read returns the state that a read with these options may be served from: the
// present, or what some cache may still hold, which is drawn from rng.
func (a *simAPI) read(kind simKind, options metav1.ListOptions, rng *rand.Rand) ([]client.Object, int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	revision := a.revision
	if options.ResourceVersion != "" {
		least, err := strconv.ParseInt(options.ResourceVersion, 10, 64)
		if err != nil {
			return nil, 0, apierrors.NewBadRequest(err.Error())
		}
		if least > a.revision {
			return nil, 0, apierrors.NewTimeoutError("Too large resource version", 1)
		}
		revision = a.cached(kind, least, rng)
	}
	return a.stores[kind].at(revision), revision, nil
}

// present returns the objects of one kind as they are.
func (a *simAPI) present(kind simKind) []client.Object {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stores[kind].at(a.revision)
}

// simCacheAge is how far behind a cache of an API server may be.
const simCacheAge = 20 * time.Second

// cached returns the revision of a cache that is not older than least.
func (a *simAPI) cached(kind simKind, least int64, rng *rand.Rand) int64 {
	history := a.stores[kind].history
	oldest := time.Now().Add(-simCacheAge)
	first, _ := slices.BinarySearchFunc(history, oldest, func(c simChange, t time.Time) int { return c.at.Compare(t) })
	back := len(history) - first
	if rng.IntN(2) == 0 {
		back = min(back, 8)
	}
	if back == 0 || rng.IntN(4) == 0 {
		return a.revision
	}
	return max(least, history[len(history)-1-rng.IntN(back)].revision)
}

// after returns the change of kind at this place of its history, or nil and what is
// closed when there is one; and the present revision.
func (a *simAPI) after(kind simKind, place int) (*simChange, <-chan struct{}, int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	store := a.stores[kind]
	if place < len(store.history) {
		return &store.history[place], nil, a.revision
	}
	return nil, store.changed, a.revision
}

// place returns the place in the history of kind of the first change after revision.
func (a *simAPI) place(kind simKind, revision int64) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	place, _ := slices.BinarySearchFunc(a.stores[kind].history, revision+1, func(c simChange, r int64) int { return int(c.revision - r) })
	return place
}
