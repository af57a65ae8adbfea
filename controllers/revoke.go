// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
)

// revoke ends an APIKey that is being deleted. Auth servers have refused its key
// since each saw the deletionTimestamp; this waits until all have, then removes
// the Secret, then the finalizer. Whoever sees the APIKey gone knows that the key
// is dead. Where the wait takes long the Secret does not wait.
func (r *APIKeyReconciler) revoke(ctx context.Context, p *pass) (next bool, err error) {
	_, releasing := r.releasing.Load(p.key.UID)
	if releasing || !controllerutil.ContainsFinalizer(p.key, v1alpha1.Finalizer) {
		p.released = true
		return false, nil
	}
	revoked, err := r.revoked(ctx, p)
	if err != nil || !revoked && !r.impatient(p) {
		return true, err
	}
	refusal, err := r.unpublish(ctx, p)
	switch {
	case err != nil:
		return false, err
	case !revoked:
		if refusal == nil {
			p.publication = waiting(v1alpha1.ReasonNotPublished, fmt.Sprintf("Secret %q is deleted", p.key.SecretName()))
		}
		return true, nil
	case refusal != nil:
		p.revocation = waiting(v1alpha1.ReasonSecretRefused,
			fmt.Sprintf("no auth server accepts the key, but the API server refuses to delete Secret %q (%s): look at the namespace's admission policies", p.key.SecretName(), apierrors.ReasonForError(refusal)))
		p.lookAgain(conflictRecheck)
		return true, nil
	}
	return false, r.release(ctx, p)
}

// revoked finds out whether no auth server can accept the key any more. The APIKey
// as it is seen here bears its deletionTimestamp: whoever has applied this revision
// has dropped the key.
func (r *APIKeyReconciler) revoked(ctx context.Context, p *pass) (bool, error) {
	found, asked, err := r.whoMayAccept(ctx, p, revocationPurpose(p.key))
	if err != nil || !asked {
		return false, err
	}
	if !found.Complete() && r.impatient(p) {
		p.revocation = waiting(v1alpha1.ReasonRevoking, waitingToDrop(found))
	}
	return found.Complete(), nil
}

// revocationPurpose has the UID in it: an APIKey that was made anew under the same
// name must not be taken for revoked because the one before it was.
func revocationPurpose(key *v1alpha1.APIKey) string { return "revoke " + string(key.UID) }

// unpublish deletes the Secret, once. That the API server refuses to is no error: it
// keeps nobody from being waited for.
func (r *APIKeyReconciler) unpublish(ctx context.Context, p *pass) (refusal, err error) {
	if _, done := r.unpublished.Load(p.key.UID); done {
		return nil, nil
	}
	switch err := r.deleteSecret(ctx, p); {
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		return err, nil
	case err != nil:
		return nil, err
	}
	r.unpublished.Store(p.key.UID, struct{}{})
	return nil, nil
}

// deleteSecret deletes the Secret if it is the APIKey's own. Its data is not
// read for that.
func (r *APIKeyReconciler) deleteSecret(ctx context.Context, p *pass) error {
	name := client.ObjectKey{Namespace: p.key.Namespace, Name: p.key.SecretName()}
	secret := &corev1.Secret{}
	err := r.Get(ctx, name, secret, client.DisableReadYourWritesConsistency)
	uid, own := secret.UID, err == nil && metav1.IsControlledBy(secret, p.key)
	if !own {
		// The cache may lag, and has none without our label.
		live := &metav1.PartialObjectMetadata{}
		live.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		if err := r.Live.Get(ctx, name, live); err != nil {
			return client.IgnoreNotFound(err)
		}
		uid, own = live.UID, metav1.IsControlledBy(live, p.key)
	}
	if !own {
		return nil
	}
	// Nothing here reads that name again, and a Secret without our label would
	// never be seen to go by the cache.
	secret.Namespace, secret.Name = name.Namespace, name.Name
	err = r.Delete(ctx, secret, client.Preconditions{UID: &uid}, client.DisableReadYourWritesConsistency)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case apierrors.IsConflict(err):
		// Another Secret has taken the place of the one that the cache shows.
		return fmt.Errorf("delete secret: %w", err)
	}
	return err
}

// recordRevoked writes the audit line of each key that ends with its APIKey: the current
// one, those that it has replaced, and those that were imported.
func (r *APIKeyReconciler) recordRevoked(ctx context.Context, p *pass) {
	if len(p.key.Status.Versions) == 0 && r.firstTelling(p, "") {
		r.record(ctx, p, audit.Event{Action: audit.Revoked})
	}
	for i := range p.key.Status.Versions {
		if v := &p.key.Status.Versions[i]; r.firstTelling(p, v.ID) {
			r.record(ctx, p, audit.Event{Action: audit.Revoked, KeyID: v.ID})
		}
	}
}

// release lets the APIKey go.
func (r *APIKeyReconciler) release(ctx context.Context, p *pass) error {
	// Before the APIKey goes: afterwards nobody would be there to repeat a line that
	// was lost with this process.
	r.recordRevoked(ctx, p)
	// Before the write: the watch may show its effect before its answer comes.
	r.releasing.Store(p.key.UID, struct{}{})
	before := p.key.DeepCopy()
	controllerutil.RemoveFinalizer(p.key, v1alpha1.Finalizer)
	err := r.Patch(ctx, p.key, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	p.released = true
	if apierrors.IsNotFound(err) {
		// An earlier pass has done it, whose answer was lost.
		return nil
	}
	if err != nil {
		r.releasing.Delete(p.key.UID)
		r.Unwritten.failed(ctx, r.Events, p.key, err)
		return fmt.Errorf("remove finalizer: %w", err)
	}
	r.Escrow.Drop(p.key.UID)
	return nil
}

// forget drops what this process remembers of an APIKey that is seen to be gone,
// even when its finalizer was taken off by hand.
func (r *APIKeyReconciler) forget(key client.Object) {
	r.Escrow.Drop(key.GetUID())
	r.releasing.Delete(key.GetUID())
	r.unpublished.Delete(key.GetUID())
	r.restarts.Delete(key.GetUID())
	r.deciders.Delete(key.GetUID())
	r.resuming.Delete(key.GetUID())
	r.endsTold.Delete(key.GetUID())
	r.Unwritten.forget(key)
	r.repairs.forget(key.GetUID())
	r.Waiters.Done(client.ObjectKeyFromObject(key))
	r.Retirements.Done(client.ObjectKeyFromObject(key))
	r.Imports.Done(client.ObjectKeyFromObject(key))
}
