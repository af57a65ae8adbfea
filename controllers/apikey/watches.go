// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
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
	"github.com/hexcovery/apikey-operator/internal/events"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

const (
	// indexOrganization finds the APIKeys of an Organization, by its name.
	indexOrganization = "spec.organizationRef.name"
	// indexOrganizationID finds the Organizations of an id.
	indexOrganizationID = "spec.id"
	// indexDigest finds the APIKeys that have a hash.
	indexDigest = "status.versions.sha256"
	// indexKeyID finds the APIKeys that have a hash with a key ID.
	indexKeyID = "status.versions.id"
	// indexImport finds the APIKeys that want a hash.
	indexImport = "spec.importedKeys.sha256"
)

var namespaceKind = corev1.SchemeGroupVersion.WithKind("Namespace")

// Queue is the work queue of a controller.
type Queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager registers the reconciler and its watches: of APIKeys, their Secrets,
// Organizations and namespaces, of the Leases that say what auth servers have applied, and
// of what restarts of consumers come to.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, concurrency int, rollouts source.Source) error {
	if err := indexKeys(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	r.Events = events.Writer{Recorder: mgr.GetEventRecorder(FieldOwner)}
	r.courtesy = NewCourtesy(r.Clock)
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(namespaceKind)
	return ctrl.NewControllerManagedBy(mgr).
		Named("apikey").
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrency,
			ReconciliationTimeout:   timeout,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](5*time.Millisecond, maxRetryDelay),
		}).
		For(&v1alpha1.APIKey{}).
		Watches(&v1alpha1.APIKey{}, revocationsFirst(newShares(r.Clock))).
		Watches(&v1alpha1.APIKey{}, handler.Funcs{DeleteFunc: r.gone}).
		Watches(&v1alpha1.APIKey{}, handler.Funcs{UpdateFunc: r.hashesChanged, DeleteFunc: r.hashesFreed}).
		Owns(&corev1.Secret{}).
		Watches(&v1alpha1.Organization{}, r.enqueueKeys(r.keysOfOrganization), builder.WithPredicates(SpecChanged())).
		Watches(namespace, r.enqueueKeys(r.keysOfNamespace), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&coordinationv1.Lease{}, WakeUp(r.Members, r.Waiters)).
		WatchesRawSource(source.Func(r.usageDue)).
		WatchesRawSource(rollouts).
		Complete(r)
}

// SpecChanged passes over changes of a status. An object that was made anew while nobody
// watched looks like a change, too, and may have the same generation.
func SpecChanged() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() || refusalOf(e.ObjectOld) != refusalOf(e.ObjectNew)
		},
	})
}

// usageDue has those reconciled whose usage is due to be written. The queue holds each
// APIKey once, however often it is named.
func (r *Reconciler) usageDue(_ context.Context, q Queue) error {
	r.Gatherer.Wake(func(name types.NamespacedName) { q.Add(reconcile.Request{NamespacedName: name}) })
	return nil
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
	errs := []error{indexer.IndexField(ctx, &v1alpha1.Organization{}, indexOrganizationID, func(obj client.Object) []string {
		if organization, ok := obj.(*v1alpha1.Organization); ok {
			return []string{organization.EffectiveID()}
		}
		return nil
	})}
	for name, values := range map[string]func(*v1alpha1.APIKey) []string{
		indexOrganization: func(key *v1alpha1.APIKey) []string { return []string{key.Spec.OrganizationRef.Name} },
		indexImport: func(key *v1alpha1.APIKey) (hashes []string) {
			for _, wanted := range key.Spec.ImportedKeys {
				hashes = append(hashes, wanted.SHA256)
			}
			return hashes
		},
		indexKeyID: func(key *v1alpha1.APIKey) []string {
			ids := sets.New[string]()
			for hash := range hashesOf(key) {
				ids.Insert(hash[:min(len(hash), keyIDLength)])
			}
			return sets.List(ids)
		},
		indexDigest: func(key *v1alpha1.APIKey) []string { return sets.List(hashesOf(key)) },
	} {
		errs = append(errs, indexer.IndexField(ctx, &v1alpha1.APIKey{}, name, func(obj client.Object) []string {
			if key, ok := obj.(*v1alpha1.APIKey); ok {
				return values(key)
			}
			return nil
		}))
	}
	return errors.Join(errs...)
}

// hashesChanged has those reconciled that want a hash which an APIKey has got, or has no
// more: the one may have to give way, the other says that it is nobody's.
func (r *Reconciler) hashesChanged(ctx context.Context, e event.UpdateEvent, q Queue) {
	r.tellRivals(ctx, e.ObjectNew, hashesOf(e.ObjectOld).SymmetricDifference(hashesOf(e.ObjectNew)), q)
}

// hashesFreed is hashesChanged for an APIKey that is gone.
func (r *Reconciler) hashesFreed(ctx context.Context, e event.DeleteEvent, q Queue) {
	r.tellRivals(ctx, e.Object, hashesOf(e.Object), q)
}

func (r *Reconciler) tellRivals(ctx context.Context, key client.Object, hashes sets.Set[string], q Queue) {
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
func (r *Reconciler) gone(ctx context.Context, e event.DeleteEvent, _ Queue) {
	if key, ok := e.Object.(*v1alpha1.APIKey); ok {
		r.recordEscape(ctx, key)
	}
	r.forget(e.Object)
}

// WakeUp has those reconciled that wait for what a Lease says.
func WakeUp(members *registry.Members, waiters *registry.Waiters) handler.EventHandler {
	changed := func(obj client.Object, q Queue) {
		if lease, ok := obj.(*coordinationv1.Lease); ok {
			members.Notice(lease)
			enqueue(q, waiters.LeaseChanged(lease))
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q Queue) { changed(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q Queue) { changed(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q Queue) {
			enqueue(q, waiters.LeaseGone(client.ObjectKeyFromObject(e.Object)))
		},
	}
}

func enqueue(q Queue, names []types.NamespacedName) {
	for _, name := range names {
		q.Add(reconcile.Request{NamespacedName: name})
	}
}

// keysOfOrganization are also those of the Organizations that have its id: the younger may have
// to give way, or be the only one now.
func (r *Reconciler) keysOfOrganization(ctx context.Context, obj client.Object) []v1alpha1.APIKey {
	keys := r.matching(ctx, client.MatchingFields{indexOrganization: obj.GetName()})
	organization, ok := obj.(*v1alpha1.Organization)
	if !ok {
		return keys
	}
	others, err := WithSameID(ctx, r.Client, organization)
	if err != nil {
		log.FromContext(ctx).Error(err, "Enqueue keys of Organizations with the same id.")
	}
	for i := range others {
		keys = append(keys, r.matching(ctx, client.MatchingFields{indexOrganization: others[i].Name})...)
	}
	return keys
}

func (r *Reconciler) keysOfNamespace(ctx context.Context, namespace client.Object) []v1alpha1.APIKey {
	return r.matching(ctx, client.InNamespace(namespace.GetName()))
}

// matching returns the APIKeys that options select, as the cache knows them: one that it
// does not know yet is going to be reconciled when it does. They are not to be changed.
func (r *Reconciler) matching(ctx context.Context, options ...client.ListOption) []v1alpha1.APIKey {
	list := &v1alpha1.APIKeyList{}
	options = append(options, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err := r.List(ctx, list, options...); err != nil {
		// The cache answers; it fails only when the process is ending.
		log.FromContext(ctx).Error(err, "list APIKeys to reconcile")
		return nil
	}
	return list.Items
}
