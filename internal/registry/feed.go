// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// errFeed is the cause of a session that ends because the feed can no longer
// vouch for the index.
var errFeed = errors.New("watch feed")

// progress is how far one kind has been applied, and what to notify of it.
type progress struct {
	clock clock.PassiveClock

	mu      sync.Mutex
	applied string
	// confirmed is a revision up to which nothing has changed that was not applied; empty if
	// none is known.
	confirmed string
	// heardAt is when the API server last brought anything: a list, an event, or a
	// bookmark.
	heardAt time.Time
	// connection is how the watch of this kind is.
	connection connection
	// awaited: something was applied since the last report that the manager may
	// be waiting for.
	awaited bool
	listed  chan struct{}
	once    sync.Once
	// notify is called, outside the lock, when a report should not wait for the
	// next renewal.
	notify func()
	// fail ends the session.
	fail func(error)
	// confirming: a second watch is there, to confirm what was applied.
	confirming atomic.Bool
}

func newProgress(clock clock.PassiveClock, notify func(), fail func(error)) *progress {
	return &progress{clock: clock, applied: nothingApplied, heardAt: clock.Now(), listed: make(chan struct{}), notify: notify, fail: fail}
}

// asks records that a list or a watch is requested, which ends the one before.
func (p *progress) asks() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connection.asks(p.clock.Now())
}

// answered records the response, and returns its error.
func (p *progress) answered(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connection.answered(p.clock.Now(), err)
	return err
}

// failure is for how long this kind could not be followed, and why; 0 if it can be.
func (p *progress) failure() (time.Duration, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connection.failure(p.clock.Now())
}

func (p *progress) lastHeard() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heardAt
}

func (p *progress) revision() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.applied
}

// await marks the change that is being applied as one the manager waits for.
func (p *progress) await() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaited = true
}

// advance records that everything up to revision is in the index. It is called
// after the index was changed, never before.
func (p *progress) advance(revision string) {
	if err := validRevision(revision); err != nil {
		p.fail(fmt.Errorf("%w: %w", errFeed, err))
		return
	}
	p.mu.Lock()
	p.heardAt = p.clock.Now()
	p.connection.brought()
	backwards := p.applied != nothingApplied && later(p.applied, revision)
	if !backwards {
		p.applied = revision
	}
	awaited := p.awaited
	p.awaited = false
	p.mu.Unlock()
	switch {
	case backwards:
		// The API server was restored from a backup, perhaps: what the index
		// holds may never have happened.
		p.fail(fmt.Errorf("%w: revision went back to %s", errFeed, revision))
	case awaited:
		p.notify()
	}
}

func (p *progress) complete(revision string) {
	p.await()
	p.advance(revision)
	p.once.Do(func() { close(p.listed) })
}

// keyStore is what the reflector of APIKeys writes to. It keeps no objects.
//
// The reflector only logs an error that a store returns, and goes on to report
// the revision. So nothing here returns one: what cannot be applied ends the
// session.
type keyStore struct {
	index *index
	*progress
	refusals *refusalLog
}

var (
	_ cache.TransformingStore      = keyStore{}
	_ cache.ResourceVersionUpdater = keyStore{}
)

func (s keyStore) Add(obj any) error    { return s.apply(obj) }
func (s keyStore) Update(obj any) error { return s.apply(obj) }
func (s keyStore) Resync() error        { return nil }

func (s keyStore) apply(obj any) error {
	key, ok := obj.(*v1alpha1.APIKey)
	if !ok {
		s.fail(fmt.Errorf("%w: got a %T for an APIKey", errFeed, obj))
		return nil
	}
	c := claimOf(key)
	s.refusals.report(key, key.Refusal)
	if _, reduces := s.index.apply(c); reduces || c.awaited {
		s.await()
	}
	return nil
}

func (s keyStore) Delete(obj any) error {
	if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = tombstone.Obj
	}
	key, ok := obj.(*v1alpha1.APIKey)
	if !ok {
		s.fail(fmt.Errorf("%w: got a %T for a deleted APIKey", errFeed, obj))
		return nil
	}
	if s.index.remove(key.UID) {
		s.await()
	}
	return nil
}

func (s keyStore) Replace(objs []any, revision string) error {
	claims := make([]claim, 0, len(objs))
	for _, obj := range objs {
		key, ok := obj.(*v1alpha1.APIKey)
		if !ok {
			s.fail(fmt.Errorf("%w: got a %T in a list of APIKeys", errFeed, obj))
			return nil
		}
		s.refusals.report(key, key.Refusal)
		claims = append(claims, claimOf(key))
	}
	s.index.replace(claims)
	s.complete(revision)
	return nil
}

func (s keyStore) UpdateResourceVersion(revision string) { s.advance(revision) }

// Transformer trims what the reflector gathers during a streamed list.
func (s keyStore) Transformer() cache.TransformFunc { return trimmed }

// trimmed trims an APIKey, and leaves anything else as it is.
func trimmed(obj any) (any, error) {
	if key, ok := obj.(*v1alpha1.APIKey); ok {
		trim(key)
	}
	return obj, nil
}

// organizationStore is what the reflector of Organizations writes to. Each
// change of an Organization is awaited: they are few, and each may revoke.
type organizationStore struct {
	index *index
	*progress
	refusals *refusalLog
}

var _ cache.ResourceVersionUpdater = organizationStore{}

func (s organizationStore) Add(obj any) error    { return s.apply(obj) }
func (s organizationStore) Update(obj any) error { return s.apply(obj) }
func (s organizationStore) Resync() error        { return nil }

func (s organizationStore) apply(obj any) error {
	org, ok := obj.(*v1alpha1.Organization)
	if !ok {
		s.fail(fmt.Errorf("%w: got a %T for an Organization", errFeed, obj))
		return nil
	}
	s.refusals.report(org, org.Refusal)
	s.index.applyOrganization(org.Name, organizationOf(org))
	s.await()
	return nil
}

func (s organizationStore) Delete(obj any) error {
	if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = tombstone.Obj
	}
	org, ok := obj.(*v1alpha1.Organization)
	if !ok {
		s.fail(fmt.Errorf("%w: got a %T for a deleted Organization", errFeed, obj))
		return nil
	}
	s.index.removeOrganization(org.Name)
	s.await()
	return nil
}

func (s organizationStore) Replace(objs []any, revision string) error {
	orgs := make(map[string]organization, len(objs))
	for _, obj := range objs {
		org, ok := obj.(*v1alpha1.Organization)
		if !ok {
			s.fail(fmt.Errorf("%w: got a %T in a list of Organizations", errFeed, obj))
			return nil
		}
		s.refusals.report(org, org.Refusal)
		orgs[org.Name] = organizationOf(org)
	}
	s.index.replaceOrganizations(orgs)
	s.complete(revision)
	return nil
}

func (s organizationStore) UpdateResourceVersion(revision string) { s.advance(revision) }

// listWatch reads a kind for a reflector, and records in p how that goes. A reflector that
// cannot stream its first list asks for resourceVersion "0", which any old cache may
// answer; here the list is consistent, or a revocation could be missed. Pages are trimmed
// one by one.
func listWatch(c client.WithWatch, p *progress, newList func() client.ObjectList) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			if options.ResourceVersion == "0" {
				options.ResourceVersion = ""
			}
			p.asks()
			list := newList()
			err := c.List(ctx, list, &client.ListOptions{Limit: options.Limit, Continue: options.Continue, Raw: &options})
			if err == nil {
				err = meta.EachListItem(list, func(obj runtime.Object) error { _, err := trimmed(obj); return err })
			}
			return list, p.answered(err)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			p.asks()
			w, err := c.Watch(ctx, newList(), &client.ListOptions{Raw: &options})
			return w, p.answered(err)
		},
	}
}

func newAPIKeyList() client.ObjectList       { return &v1alpha1.APIKeyList{} }
func newOrganizationList() client.ObjectList { return &v1alpha1.OrganizationList{} }

// newNamespaceList is for their metadata alone.
func newNamespaceList() client.ObjectList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	return list
}
