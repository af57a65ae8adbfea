// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"

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
		version = p.current()
	}
	switch {
	case version == nil:
		if r.backsOff(p) {
			return false, nil
		}
		p.restored, p.replaced = p.broughtBack(), lostKeyID(&p.key.Status)
		if slices.ContainsFunc(p.key.Status.Versions, requested) {
			p.due = v1alpha1.MintRevoked
		}
	case duplicate != nil:
		r.Events.duplicate(p.key, version.ID, duplicate)
		p.endMinted(v1alpha1.RevokedDuplicate)
	case version.ID == p.holds:
		return true, nil
	case version.State == v1alpha1.VersionPending:
		return r.resume(ctx, p, version)
	case version.ID == p.previous && !r.repairs.wrote(p.key.UID, form(p.key, version.ID)):
		// The two keys in the Secret have changed places, and it was not written since. If it
		// was, somebody has put the one that was replaced into the other's place.
		return true, nil
	default:
		return r.replaceDrifted(ctx, p, version.ID)
	}
	return r.mint(ctx, p)
}

// requested reports whether spec.revokedKeyIDs has ended a key that was minted.
func requested(v v1alpha1.KeyVersion) bool {
	return v.RevocationReason == v1alpha1.RevokedRequested && !v.Imported()
}

// replaceDrifted ends every key that was minted, for nobody knows any more who has the one
// of that ID, and mints another, if that is not put off.
func (r *APIKeyReconciler) replaceDrifted(ctx context.Context, p *pass, id string) (next bool, err error) {
	p.endMinted(v1alpha1.RevokedDrifted)
	r.Escrow.Drop(p.key.UID)
	p.noteDrift(id)
	if r.backsOff(p) {
		return false, nil
	}
	p.replaced = id
	return r.mint(ctx, p)
}

// resume goes on with a version whose key is in no Secret yet.
func (r *APIKeyReconciler) resume(ctx context.Context, p *pass, pending *v1alpha1.KeyVersion) (next bool, err error) {
	_, kept := r.Escrow.Get(p.key.UID, pending.ID)
	active := p.active()
	switch {
	case active != nil && p.holds == "":
		return r.replaceDrifted(ctx, p, active.ID)
	case kept:
		return true, nil
	case active != nil:
		if fenced, err := r.fence(ctx, p, pending); err != nil || !fenced {
			return false, err
		}
	}
	// The process that minted it is gone, and its key with it.
	p.due = pending.MintReason
	end(pending, v1alpha1.RevokedAbandoned)
	return r.mint(ctx, p)
}

// disown gives up every version whose key was in an APIKey's Secret when that place
// is somebody else's: what it held before is in unknown hands.
func (r *APIKeyReconciler) disown(p *pass) {
	if p.current() != nil {
		p.noteDrift("")
	}
	p.endMinted(v1alpha1.RevokedConflict)
	r.Escrow.Drop(p.key.UID)
}

// mint makes a new key and registers its hash. Versions that work go on working, until
// the new key takes their place; those that were ended are refused from this write on.
func (r *APIKeyReconciler) mint(ctx context.Context, p *pass) (next bool, err error) {
	if err := keys.ValidateTemplates(templates(p.key)); err != nil {
		p.publication = stuck(v1alpha1.ReasonInvalidTemplate, fmt.Sprintf("spec.secret.data: %v", err))
		return false, nil
	}
	if len(p.key.Status.Versions) >= maxVersions {
		// Not Revoking: of that auth servers would gather that all versions are taken back.
		p.registration = waiting(v1alpha1.ReasonNotRegistered,
			fmt.Sprintf("%d earlier keys have not been dropped by every auth server: another is minted when one has", maxVersions))
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
	p.key.Status.Versions = append(p.key.Status.Versions, v1alpha1.KeyVersion{
		ID:               digest.KeyID(),
		SHA256:           digest.String(),
		State:            v1alpha1.VersionPending,
		MintReason:       p.cause(),
		RegistrationTime: metav1.NewTime(p.now),
	})
	if p.key.Status.Drift != nil {
		p.key.Status.Drift.LostKeyID = ""
	}
	if err := r.writeStatus(ctx, p); err != nil {
		r.Escrow.Drop(p.key.UID)
		return false, fmt.Errorf("register: %w", err)
	}
	action := audit.Minted
	if p.replaced != "" {
		action = audit.DriftRepaired
		r.Events.drifted(p.key, p.replaced)
	}
	if p.restored != "" {
		r.Events.restored(p.key, p.restored, digest.KeyID())
	}
	r.record(ctx, p, audit.Event{
		Action: action, KeyID: digest.KeyID(), PreviousKeyID: p.replaced,
		Reason: string(p.cause()), Actor: actorOfVersion(p, mintCauses, p.cause()),
	})
	return true, nil
}

// cause is why a key is minted.
func (p *pass) cause() v1alpha1.MintReason {
	switch {
	case p.due != "":
		return p.due
	case p.replaced != "":
		return v1alpha1.MintDrifted
	case p.restored != "":
		return v1alpha1.MintRestored
	}
	return v1alpha1.MintRequested
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
		r.Unwritten.failed(ctx, r.Events, p.key, err)
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
