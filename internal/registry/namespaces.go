// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
)

// namespaceStore is what the reflector of Namespaces writes to. Of each it keeps the
// labels. A change of them is awaited: it may permit, and it may revoke.
type namespaceStore struct {
	index *index
	*progress
}

var (
	_ cache.TransformingStore      = namespaceStore{}
	_ cache.ResourceVersionUpdater = namespaceStore{}
)

func namespaceOf(ns *metav1.PartialObjectMetadata) namespace {
	return namespace{revision: ns.ResourceVersion, labels: labels.Set(ns.Labels)}
}

func (s namespaceStore) Add(obj any) error    { return s.apply(obj) }
func (s namespaceStore) Update(obj any) error { return s.apply(obj) }
func (s namespaceStore) Resync() error        { return nil }

func (s namespaceStore) apply(obj any) error {
	ns, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok {
		s.fail(fmt.Errorf("%w: got a %T for a Namespace", errFeed, obj))
		return nil
	}
	if s.index.applyNamespace(ns.Name, namespaceOf(ns)) {
		s.await()
	}
	return nil
}

func (s namespaceStore) Delete(obj any) error {
	if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = tombstone.Obj
	}
	ns, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok {
		s.fail(fmt.Errorf("%w: got a %T for a deleted Namespace", errFeed, obj))
		return nil
	}
	s.index.removeNamespace(ns.Name)
	return nil
}

func (s namespaceStore) Replace(objs []any, revision string) error {
	namespaces := make(map[string]namespace, len(objs))
	for _, obj := range objs {
		ns, ok := obj.(*metav1.PartialObjectMetadata)
		if !ok {
			s.fail(fmt.Errorf("%w: got a %T in a list of Namespaces", errFeed, obj))
			return nil
		}
		namespaces[ns.Name] = namespaceOf(ns)
	}
	s.index.replaceNamespaces(namespaces)
	s.complete(revision)
	return nil
}

func (s namespaceStore) UpdateResourceVersion(revision string) { s.advance(revision) }

// Transformer trims what the reflector gathers during a streamed list.
func (s namespaceStore) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		if ns, ok := obj.(*metav1.PartialObjectMetadata); ok {
			ns.ManagedFields, ns.Annotations, ns.OwnerReferences = nil, nil, nil
		}
		return obj, nil
	}
}
