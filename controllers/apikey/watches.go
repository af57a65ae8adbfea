// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
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
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/events"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

const (
	// indexOrganization finds the APIKeys of an Organization, by its name.
	indexOrganization = "spec.organizationRef.name"
	// indexOrganizationID finds the Organizations of an id.
	indexOrganizationID = "spec.id"
	// indexKeyID finds the APIKeys that have a hash with a key ID.
	indexKeyID = "status.versions.id"
	// indexImport finds the APIKeys that want a hash.
	indexImport = "spec.importedKeys.sha256"
)

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
	r.courtesy, r.revocations = NewCourtesy(r.Clock), NewCourtesy(r.Clock)
	ofNamespace := func(ctx context.Context, namespace client.Object) []v1alpha1.APIKey {
		return r.matching(ctx, client.InNamespace(namespace.GetName()))
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("apikey").
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrency,
			ReconciliationTimeout:   timeout,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](5*time.Millisecond, maxRetryDelay),
		}).
		For(&v1alpha1.APIKey{}).
		Watches(&v1alpha1.APIKey{}, r.keyEvents()).
		Owns(&corev1.Secret{}).
		Watches(&v1alpha1.Organization{}, r.enqueueKeys(r.keysOfOrganization), builder.WithPredicates(OrganizationChanged())).
		Watches(metadataOf("Namespace"), r.enqueueKeys(ofNamespace), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&coordinationv1.Lease{}, WakeUp(r.Members, r.Waiters)).
		WatchesRawSource(source.Func(func(_ context.Context, q Queue) error {
			// Of usage that is due to be written. The queue holds each APIKey once.
			r.Gatherer.Wake(func(name types.NamespacedName) { enqueue(q, name) })
			return nil
		})).
		WatchesRawSource(rollouts).
		Complete(r)
}

// OrganizationChanged passes over changes of a status. An Organization that was made anew
// while nobody watched looks like a change, too, and may have the same generation; labels
// alone can make one too large.
func OrganizationChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, was := e.ObjectOld.(*v1alpha1.Organization)
		after, is := e.ObjectNew.(*v1alpha1.Organization)
		return was && is && (before.UID != after.UID || before.Generation != after.Generation || before.Refusal != after.Refusal)
	}}
}

func indexKeys(ctx context.Context, indexer client.FieldIndexer) error {
	index := func(name string, values func(*v1alpha1.APIKey) []string) error {
		return indexer.IndexField(ctx, &v1alpha1.APIKey{}, name, func(obj client.Object) []string {
			if key, ok := obj.(*v1alpha1.APIKey); ok {
				return values(key)
			}
			return nil
		})
	}
	return errors.Join(
		indexer.IndexField(ctx, &v1alpha1.Organization{}, indexOrganizationID, func(obj client.Object) []string {
			if organization, ok := obj.(*v1alpha1.Organization); ok {
				return []string{organization.EffectiveID()}
			}
			return nil
		}),
		index(indexOrganization, func(key *v1alpha1.APIKey) []string { return []string{key.Spec.OrganizationRef.Name} }),
		index(indexImport, func(key *v1alpha1.APIKey) (hashes []string) {
			for _, wanted := range key.Spec.ImportedKeys {
				hashes = append(hashes, wanted.SHA256)
			}
			return hashes
		}),
		index(indexKeyID, func(key *v1alpha1.APIKey) []string {
			ids := sets.New[string]()
			for hash := range hashesOf(key) {
				if digest, err := keys.ParseDigest(hash); err == nil {
					ids.Insert(digest.KeyID())
				}
			}
			return ids.UnsortedList()
		}),
	)
}

// keyEvents does what has to be done for an APIKey beside reconciling it.
func (r *Reconciler) keyEvents() handler.Funcs {
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q Queue) { r.enqueueRevocation(e.Object, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q Queue) {
			r.enqueueRevocation(e.ObjectNew, q)
			r.enqueueRivals(ctx, e.ObjectNew, hashesOf(e.ObjectOld).SymmetricDifference(hashesOf(e.ObjectNew)), q)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q Queue) {
			r.gone(ctx, e.Object)
			r.enqueueRivals(ctx, e.Object, hashesOf(e.Object), q)
		},
	}
}

// enqueueRivals enqueues those that want hashes which an APIKey has got, or has no more: the
// one may have to give way, the other says that it is nobody's.
func (r *Reconciler) enqueueRivals(ctx context.Context, key client.Object, hashes sets.Set[string], q Queue) {
	for hash := range hashes {
		rivals := r.matching(ctx, client.MatchingFields{indexImport: hash})
		for i := range rivals {
			if name := client.ObjectKeyFromObject(&rivals[i]); name != client.ObjectKeyFromObject(key) {
				enqueueAt(q, handler.LowPriority, name)
			}
		}
	}
}

// gone drops what this process remembers of an APIKey. If this manager has not let it go,
// somebody took the finalizer off, and the audit trail is told: auth servers refuse its keys
// when they see it gone, and nobody waited until they did.
func (r *Reconciler) gone(ctx context.Context, obj client.Object) {
	key, ok := obj.(*v1alpha1.APIKey)
	if ok && !r.recall(key.UID).released && len(key.Status.Versions) > 0 {
		r.record(ctx, key, audit.Event{
			Action: audit.Revoked, KeyID: key.Status.KeyID, Reason: v1alpha1.ReasonFinalizerRemoved, Actor: audit.Deletion(key),
			Message: "The finalizer was taken off, so nobody waited for auth servers to drop the keys.",
		})
	}
	r.Escrow.Drop(obj.GetUID())
	r.memories.Delete(obj.GetUID())
	r.Unwritten.Forget(obj.GetUID())
	r.Waiters.Done(client.ObjectKeyFromObject(obj))
}

// enqueueKeys enqueues the APIKeys that a changed object concerns. Those that have keys
// come first, for the change may revoke them. Anybody may name an Organization: those that
// it has refused come last.
func (r *Reconciler) enqueueKeys(concerned func(context.Context, client.Object) []v1alpha1.APIKey) handler.Funcs {
	enqueue := func(ctx context.Context, obj client.Object, initial bool, q Queue) {
		keys := concerned(ctx, obj)
		for i := range keys {
			key, priority := &keys[i], 0
			switch {
			case initial, key.Status.Acceptance == v1alpha1.AcceptanceWithdrawn && len(key.Status.Versions) == 0:
				priority = handler.LowPriority
			case len(key.Status.Versions) > 0:
				priority = revocationPriority
			}
			enqueueAt(q, priority, client.ObjectKeyFromObject(key))
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q Queue) { enqueue(ctx, e.Object, e.IsInInitialList, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q Queue) { enqueue(ctx, e.ObjectNew, false, q) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q Queue) { enqueue(ctx, e.Object, false, q) },
	}
}

// WakeUp has those reconciled that wait for what a Lease says.
func WakeUp(members *registry.Members, waiters *registry.Waiters) handler.EventHandler {
	changed := func(obj client.Object, q Queue) {
		if lease, ok := obj.(*coordinationv1.Lease); ok {
			members.Notice(lease)
			enqueue(q, waiters.LeaseChanged(lease)...)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q Queue) { changed(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q Queue) { changed(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q Queue) {
			enqueue(q, waiters.LeaseGone(client.ObjectKeyFromObject(e.Object))...)
		},
	}
}

func enqueue(q Queue, names ...types.NamespacedName) {
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
		log.FromContext(ctx).Error(err, "enqueue APIKeys of Organizations with the same id")
	}
	for i := range others {
		keys = append(keys, r.matching(ctx, client.MatchingFields{indexOrganization: others[i].Name})...)
	}
	return keys
}

// matching returns the APIKeys that options select, as the cache knows them: one that it
// does not know yet is going to be reconciled when it does. They are not to be changed.
func (r *Reconciler) matching(ctx context.Context, options ...client.ListOption) []v1alpha1.APIKey {
	list := &v1alpha1.APIKeyList{}
	options = append(options, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err := r.List(ctx, list, options...); err != nil {
		// The cache answers; it fails only when the process is ending.
		log.FromContext(ctx).Error(err, "list APIKeys to reconcile")
	}
	return list.Items
}
