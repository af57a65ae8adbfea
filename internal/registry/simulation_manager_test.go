// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// simManager does for each APIKey what controllers does with Waiters and Members:
// it gives a new key out when it is registered, and lets a deleted one go when it is
// revoked. Its informers begin with whatever an old cache holds.
type simManager struct {
	world   *simWorld
	process *simProcess
	link    *simLink
	members *Members
	waiters *Waiters
	// retirements are the waits for versions whose APIKey lives on, and applications those
	// for what an APIKey has become, as in controllers.
	retirements, applications *Waiters
	queue                     workqueue.TypedDelayingInterface[types.NamespacedName]
	retries                   workqueue.TypedRateLimiter[types.NamespacedName]
	owned                     wait.Group
	cancel                    context.CancelFunc

	mu   sync.Mutex
	keys map[types.NamespacedName]*v1alpha1.APIKey
	// refused are the namespaces that are not permitted, as the informer has it.
	refused map[string]bool
}

// simPassTimeout is how long one pass may take, as in controllers.
const simPassTimeout = time.Minute

func startSimManager(ctx context.Context, world *simWorld, process *simProcess, link *simLink) *simManager {
	clock := &simClock{process: process}
	// Waiters read their clock under a mutex.
	pauseless := &simClock{process: process, pauseless: true}
	m := &simManager{
		world: world, process: process, link: link,
		members: NewMembers(link, simNamespace, clock),
		waiters: NewWaiters(pauseless), retirements: NewWaiters(pauseless), applications: NewWaiters(pauseless),
		queue:   workqueue.NewTypedDelayingQueue[types.NamespacedName](),
		retries: workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](5*time.Millisecond, 2*time.Second),
		keys:    map[types.NamespacedName]*v1alpha1.APIKey{},
		refused: map[string]bool{},
	}
	ctx, m.cancel = context.WithCancel(ctx)
	m.inform(ctx, func() client.ObjectList { return &v1alpha1.APIKeyList{} }, m.keyChanged, m.keyGone)
	m.inform(ctx, newNamespaceList, m.namespaceChanged, func(types.NamespacedName) {})
	m.inform(ctx, func() client.ObjectList { return &coordinationv1.LeaseList{} }, m.leaseChanged, m.leaseGone)
	for range 2 {
		m.owned.StartWithContext(ctx, m.work)
	}
	collector := LeaseCollector{Members: m.members, Writer: link, Clock: clock}
	m.owned.StartWithContext(ctx, func(ctx context.Context) { _ = collector.Start(ctx) })
	return m
}

func (m *simManager) stop() {
	m.cancel()
	m.queue.ShutDown()
	m.owned.Wait()
}

func (m *simManager) keyChanged(obj client.Object) {
	name := client.ObjectKeyFromObject(obj)
	m.mu.Lock()
	m.keys[name] = obj.(*v1alpha1.APIKey)
	m.mu.Unlock()
	m.queue.Add(name)
}

func (m *simManager) namespaceChanged(obj client.Object) {
	ns := obj.(*metav1.PartialObjectMetadata)
	m.mu.Lock()
	m.refused[ns.Name] = !permitted(ns)
	m.mu.Unlock()
	m.queue.Add(types.NamespacedName{Namespace: ns.Name, Name: ns.Name})
}

func (m *simManager) keyGone(name types.NamespacedName) {
	m.mu.Lock()
	delete(m.keys, name)
	m.mu.Unlock()
	for _, waiters := range m.allWaiters() {
		waiters.Done(name)
	}
}

func (m *simManager) allWaiters() []*Waiters {
	return []*Waiters{m.waiters, m.retirements, m.applications}
}

func (m *simManager) leaseChanged(obj client.Object) {
	m.members.Notice(obj.(*coordinationv1.Lease))
	for _, waiters := range m.allWaiters() {
		m.enqueue(waiters.LeaseChanged(obj.(*coordinationv1.Lease)))
	}
}

func (m *simManager) leaseGone(name types.NamespacedName) {
	for _, waiters := range m.allWaiters() {
		m.enqueue(waiters.LeaseGone(name))
	}
}

func (m *simManager) enqueue(names []types.NamespacedName) {
	slices.SortFunc(names, func(a, b types.NamespacedName) int { return cmp.Compare(a.Name, b.Name) })
	for _, name := range names {
		m.queue.Add(name)
	}
}

// work makes passes until the queue is shut down.
func (m *simManager) work(ctx context.Context) {
	for {
		name, shutdown := m.queue.Get()
		if shutdown {
			return
		}
		again, err := m.pass(ctx, name)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			m.queue.AddAfter(name, m.retries.When(name))
		case again > 0:
			m.retries.Forget(name)
			m.queue.AddAfter(name, again)
		default:
			m.retries.Forget(name)
		}
		m.queue.Done(name)
	}
}

// pass looks at one APIKey as the informer shows it.
func (m *simManager) pass(ctx context.Context, name types.NamespacedName) (again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, simPassTimeout)
	defer cancel()
	m.mu.Lock()
	key, refused := m.keys[name], m.refused[name.Namespace]
	m.mu.Unlock()
	switch {
	case key == nil:
		return 0, nil
	case key.DeletionTimestamp != nil:
		return m.revoke(ctx, name, key.DeepCopy())
	case refused:
		return m.withdraw(ctx, key.DeepCopy())
	}
	retired, done, err := m.retire(ctx, name, key.DeepCopy())
	if err != nil || done {
		return 0, err
	}
	applied, done, err := m.enforce(ctx, key.DeepCopy())
	if err != nil || done {
		return 0, err
	}
	again = sooner(retired, applied)
	if hasVersion(key, v1alpha1.VersionPending) {
		registered, err := m.register(ctx, name, key.DeepCopy())
		return sooner(registered, again), err
	}
	m.waiters.Done(name)
	if !simSatisfied(key) {
		err = m.turn(ctx, key.DeepCopy())
	}
	return again, err
}

// sooner returns the less of two durations of which 0 means never.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// revoke is what revoke.go does.
func (m *simManager) revoke(ctx context.Context, name types.NamespacedName, key *v1alpha1.APIKey) (time.Duration, error) {
	again, done, err := m.revoked(ctx, m.waiters, "revoke "+string(key.UID), key)
	if !done {
		return again, err
	}
	for _, version := range m.world.allKeys() {
		if version.owner == name.Name {
			m.world.revoked(m, version.name)
		}
	}
	key.Finalizers = nil
	return 0, m.link.Update(ctx, key)
}

// revoked finds out whether nobody accepts what this revision of key revokes.
func (m *simManager) revoked(ctx context.Context, waiters *Waiters, purpose string, key *v1alpha1.APIKey) (again time.Duration, done bool, err error) {
	name := client.ObjectKeyFromObject(key)
	wait := waiters.Wait(name, purpose, key.ResourceVersion)
	if !wait.Worthwhile {
		return Patience, false, nil
	}
	found, err := m.members.Revocation(ctx, wait)
	if err != nil {
		return 0, false, err
	}
	if !found.Complete() {
		m.say("not complete: %s: %d of %d are missing: %s", purpose, len(found.Missing), found.Of, simMissing(found))
		return found.Again, false, nil
	}
	waiters.Done(name)
	return 0, true, nil
}

func (m *simManager) say(format string, args ...any) {
	if !m.process.dead.Load() {
		m.world.log.add(m.process.name, format, args...)
	}
}

// inform follows one kind as an informer does.
func (m *simManager) inform(ctx context.Context, newList func() client.ObjectList, changed func(client.Object), gone func(types.NamespacedName)) {
	listWatch := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list := newList()
			return list, m.link.List(ctx, list, &client.ListOptions{Limit: options.Limit, Continue: options.Continue, Raw: &options})
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return m.link.Watch(ctx, newList(), &client.ListOptions{Raw: &options})
		},
	}
	store := &simInformer{changed: changed, gone: gone, known: map[types.NamespacedName]bool{}}
	reflector := cache.NewReflectorWithOptions(listWatch, nil, store, cache.ReflectorOptions{
		Name: "informer", TypeDescription: "informer", Logger: &m.world.logger,
		Backoff: &wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 5, Cap: 2 * time.Second},
	})
	m.owned.StartWithContext(ctx, reflector.RunWithContext)
}

// simInformer tells of what a reflector brings.
type simInformer struct {
	changed func(client.Object)
	gone    func(types.NamespacedName)
	known   map[types.NamespacedName]bool
}

func (i *simInformer) Add(obj any) error { return i.Update(obj) }
func (i *simInformer) Resync() error     { return nil }

func (i *simInformer) Update(obj any) error {
	i.known[client.ObjectKeyFromObject(obj.(client.Object))] = true
	i.changed(obj.(client.Object))
	return nil
}

func (i *simInformer) Delete(obj any) error {
	name := client.ObjectKeyFromObject(obj.(client.Object))
	delete(i.known, name)
	i.gone(name)
	return nil
}

func (i *simInformer) Replace(objs []any, _ string) error {
	// A reflector that streamed its list gives it in no order.
	slices.SortFunc(objs, func(a, b any) int { return cmp.Compare(a.(client.Object).GetName(), b.(client.Object).GetName()) })
	before := i.known
	i.known = map[types.NamespacedName]bool{}
	for _, obj := range objs {
		_ = i.Update(obj)
	}
	for name := range before {
		if !i.known[name] {
			i.gone(name)
		}
	}
	return nil
}
