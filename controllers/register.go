// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// register makes sure that the APIKey has a version that is, or can be,
// published; if not, it mints a key and writes its hash.
func (r *APIKeyReconciler) register(ctx context.Context, p *pass) (next bool, err error) {
	if p.secret == secretForeign {
		r.disown(p)
		return false, nil
	}
	duplicate, err := r.duplicated(ctx, p)
	if err != nil {
		return false, err
	}
	version := p.current()
	if version != nil {
		// A manifest that is replaced whole, as some tools do, loses its finalizer.
		if err := r.ensureFinalizer(ctx, p); err != nil {
			return false, err
		}
	}
	switch {
	case version == nil:
	case duplicate != nil:
		r.Events.duplicate(p.key, version.ID, duplicate)
	case p.secret == secretCurrent, p.secret == secretOutdated:
		return true, nil
	case version.State == v1alpha1.VersionPending:
		if _, ok := r.Escrow.Get(p.key.UID, version.ID); ok {
			return true, nil
		}
		// The process that minted it is gone, and its key with it.
	default:
		p.replaced = version.ID
	}
	return r.mint(ctx, p)
}

// disown gives up every version of an APIKey whose Secret's place is somebody
// else's: what its own Secret held before is in unknown hands.
func (r *APIKeyReconciler) disown(p *pass) {
	p.key.Status.Versions = nil
	r.Escrow.Drop(p.key.UID)
}

// mint makes a new key and registers its hash, in place of every version that
// there was: from this write on, auth servers refuse those.
func (r *APIKeyReconciler) mint(ctx context.Context, p *pass) (next bool, err error) {
	if err := keys.ValidateTemplates(templates(p.key)); err != nil {
		p.key.Status.Versions = nil
		p.publication = stuck(v1alpha1.ReasonInvalidTemplate, fmt.Sprintf("spec.secret.data: %v", err))
		return false, nil
	}
	if err := r.ensureFinalizer(ctx, p); err != nil {
		return false, err
	}
	plaintext, err := keys.Mint()
	if err != nil {
		return false, fmt.Errorf("mint: %w", err)
	}
	digest := plaintext.Digest()
	// Before the hash is written, so that none is written whose key has no place.
	if err := r.Escrow.Put(p.key.UID, plaintext); err != nil {
		return false, fmt.Errorf("keep the key until it is acknowledged: %w", err)
	}
	p.key.Status.Versions = []v1alpha1.KeyVersion{{
		ID:           digest.KeyID(),
		SHA256:       digest.String(),
		State:        v1alpha1.VersionPending,
		RegisteredAt: metav1.NewTime(p.now),
	}}
	p.secret = secretStale
	if err := r.writeStatus(ctx, p); err != nil {
		r.Escrow.Drop(p.key.UID)
		return false, fmt.Errorf("register: %w", err)
	}
	action := audit.Minted
	if p.replaced != "" {
		action = audit.DriftRepaired
		r.Events.drifted(p.key, p.replaced)
	}
	r.record(ctx, p, audit.Event{Action: action, KeyID: digest.KeyID(), PreviousKeyID: p.replaced})
	return true, nil
}

// ensureFinalizer is the first write of all: a hash is registered only for an
// APIKey that cannot go before the hash is revoked.
func (r *APIKeyReconciler) ensureFinalizer(ctx context.Context, p *pass) error {
	if controllerutil.ContainsFinalizer(p.key, v1alpha1.Finalizer) {
		return nil
	}
	status := p.key.Status.DeepCopy()
	before := p.key.DeepCopy()
	controllerutil.AddFinalizer(p.key, v1alpha1.Finalizer)
	if err := r.Patch(ctx, p.key, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("add finalizer: %w", err)
	}
	p.observed = p.key.DeepCopy()
	// The answer to the patch brought the status as it is stored.
	p.key.Status = *status
	return nil
}

// duplicated returns an older APIKey that has the same hash, if there is one. It
// takes a status that was copied, as some restores do; the younger gives way.
func (r *APIKeyReconciler) duplicated(ctx context.Context, p *pass) (*types.NamespacedName, error) {
	version := p.current()
	if version == nil {
		return nil, nil
	}
	list := &v1alpha1.APIKeyList{}
	// Without waiting for other writes: a copy is as old as the APIKey that bears it.
	if err := r.List(ctx, list, client.MatchingFields{indexDigest: version.SHA256},
		client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		return nil, fmt.Errorf("list APIKeys with the same hash: %w", err)
	}
	for i := range list.Items {
		other := &list.Items[i]
		if other.UID != p.key.UID && older(other, p.key) {
			name := client.ObjectKeyFromObject(other)
			return &name, nil
		}
	}
	return nil, nil
}

// older is the order that auth servers use too: creation, then UID.
func older(a, b *v1alpha1.APIKey) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.UID < b.UID
}
