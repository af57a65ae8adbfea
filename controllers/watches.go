// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

const (
	// indexOrganization finds the APIKeys of an Organization, by its name.
	indexOrganization = "spec.organizationRef.name"
	// indexDigest finds the APIKeys that have a hash.
	indexDigest = "status.versions.sha256"
	// indexKeyID finds the APIKeys that have a hash with a key ID.
	indexKeyID = "status.versions.id"
	// indexImport finds the APIKeys that want a hash.
	indexImport = "spec.importedKeys.sha256"
)

var namespaceKind = corev1.SchemeGroupVersion.WithKind("Namespace")

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager has mgr call Reconcile for each APIKey that something has
// happened to: to itself, its Secret, its Organization, its namespace, or to a
// Lease that says what it waits for.
func (r *APIKeyReconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, concurrency int) error {
	if err := indexKeys(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	r.Events = eventWriter{recorder: mgr.GetEventRecorder(FieldOwner)}
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(namespaceKind)
	return ctrl.NewControllerManagedBy(mgr).
		Named("apikey").
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrency,
			ReconciliationTimeout:   passTimeout,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](5*time.Millisecond, maxRetryDelay),
		}).
		For(&v1alpha1.APIKey{}).
		Watches(&v1alpha1.APIKey{}, revocationsFirst(newShares(r.Clock))).
		Watches(&v1alpha1.APIKey{}, handler.Funcs{DeleteFunc: r.gone}).
		Watches(&v1alpha1.APIKey{}, handler.Funcs{UpdateFunc: r.hashesChanged, DeleteFunc: r.hashesFreed}).
		Owns(&corev1.Secret{}).
		Watches(&v1alpha1.Organization{}, r.enqueueKeys(keysOfOrganization),
			builder.WithPredicates(specChanged())).
		Watches(namespace, r.enqueueKeys(keysOfNamespace),
			builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&coordinationv1.Lease{}, wakeUp(r.Members, r.Waiters, r.Retirements, r.Imports)).
		WatchesRawSource(source.Func(r.usageDue)).
		Complete(r)
}

// specChanged passes over changes of a status. An object that was made anew while
// nobody watched looks like a change, too, and may have the same generation.
func specChanged() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() || refusalOf(e.ObjectOld) != refusalOf(e.ObjectNew)
		},
	})
}

// refusalOf is why an object is refused; labels alone can make it too large.
func refusalOf(object client.Object) string {
	switch object := object.(type) {
	case *v1alpha1.APIKey:
		return object.Refusal
	case *v1alpha1.Organization:
		return object.Refusal
	}
	return ""
}

func indexKeys(ctx context.Context, indexer client.FieldIndexer) error {
	err := indexer.IndexField(ctx, &v1alpha1.APIKey{}, indexOrganization, func(obj client.Object) []string {
		return []string{obj.(*v1alpha1.APIKey).Spec.OrganizationRef.Name}
	})
	if err != nil {
		return err
	}
	err = indexer.IndexField(ctx, &v1alpha1.APIKey{}, indexImport, func(obj client.Object) []string {
		var hashes []string
		for _, wanted := range obj.(*v1alpha1.APIKey).Spec.ImportedKeys {
			hashes = append(hashes, wanted.SHA256)
		}
		return hashes
	})
	if err != nil {
		return err
	}
	err = indexer.IndexField(ctx, &v1alpha1.APIKey{}, indexKeyID, func(obj client.Object) []string {
		ids := sets.New[string]()
		for hash := range hashesOf(obj) {
			ids.Insert(hash[:min(len(hash), keyIDLength)])
		}
		return sets.List(ids)
	})
	if err != nil {
		return err
	}
	return indexer.IndexField(ctx, &v1alpha1.APIKey{}, indexDigest, func(obj client.Object) []string {
		return sets.List(hashesOf(obj))
	})
}

// hashesOf returns the hashes that are an APIKey's: those of its versions, and those that
// it has taken up and still lists, be they retired.
func hashesOf(obj client.Object) sets.Set[string] {
	hashes := sets.New[string]()
	key, ok := obj.(*v1alpha1.APIKey)
	if !ok || !key.StatusIsOwn() {
		// What was copied gives nobody a claim.
		return hashes
	}
	for i := range key.Status.Versions {
		hashes.Insert(key.Status.Versions[i].SHA256)
	}
	return hashes.Insert(key.Status.Imports...)
}

// hashesChanged has those reconciled that want a hash which an APIKey has got, or has no
// more: the one may have to give way, the other says that it is nobody's.
func (r *APIKeyReconciler) hashesChanged(ctx context.Context, e event.UpdateEvent, q queue) {
	r.tellRivals(ctx, e.ObjectNew, hashesOf(e.ObjectOld).SymmetricDifference(hashesOf(e.ObjectNew)), q)
}

// hashesFreed is hashesChanged for an APIKey that is gone.
func (r *APIKeyReconciler) hashesFreed(ctx context.Context, e event.DeleteEvent, q queue) {
	r.tellRivals(ctx, e.Object, hashesOf(e.Object), q)
}

func (r *APIKeyReconciler) tellRivals(ctx context.Context, key client.Object, hashes sets.Set[string], q queue) {
	for hash := range hashes {
		rivals := r.matching(ctx, client.MatchingFields{indexImport: hash})
		for i := range rivals {
			if name := client.ObjectKeyFromObject(&rivals[i]); name != client.ObjectKeyFromObject(key) {
				enqueueAt(q, handler.LowPriority, reconcile.Request{NamespacedName: name})
			}
		}
	}
}

// gone forgets an APIKey.
func (r *APIKeyReconciler) gone(ctx context.Context, e event.DeleteEvent, _ queue) {
	if key, ok := e.Object.(*v1alpha1.APIKey); ok {
		r.recordEscape(ctx, key)
	}
	r.forget(e.Object)
}

// wakeUp has those reconciled that wait for what a Lease says.
func wakeUp(members *registry.Members, waits ...*registry.Waiters) handler.EventHandler {
	changed := func(obj client.Object, q queue) {
		if lease, ok := obj.(*coordinationv1.Lease); ok {
			members.Notice(lease)
			for _, waiters := range waits {
				enqueue(q, waiters.LeaseChanged(lease))
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { changed(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { changed(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			for _, waiters := range waits {
				enqueue(q, waiters.LeaseGone(client.ObjectKeyFromObject(e.Object)))
			}
		},
	}
}

func enqueue(q queue, names []types.NamespacedName) {
	for _, name := range names {
		q.Add(reconcile.Request{NamespacedName: name})
	}
}

func keysOfOrganization(organization client.Object) client.ListOption {
	return client.MatchingFields{indexOrganization: organization.GetName()}
}

func keysOfNamespace(namespace client.Object) client.ListOption {
	return client.InNamespace(namespace.GetName())
}

// matching returns the APIKeys that options select, as the cache knows them: one that it
// does not know yet is going to be reconciled when it does. They are not to be changed.
func (r *APIKeyReconciler) matching(ctx context.Context, options ...client.ListOption) []v1alpha1.APIKey {
	list := &v1alpha1.APIKeyList{}
	options = append(options, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err := r.List(ctx, list, options...); err != nil {
		// The cache answers; it fails only when the process is ending.
		log.FromContext(ctx).Error(err, "list APIKeys to reconcile")
		return nil
	}
	return list.Items
}
