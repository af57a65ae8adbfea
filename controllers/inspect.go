// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/hex"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// secretState is what is in the place of an APIKey's Secret.
type secretState int

const (
	// secretAbsent: there is no Secret of that name.
	secretAbsent secretState = iota
	// secretForeign: there is one that the APIKey does not own, or one of another type
	// than Opaque: other controllers fill those.
	secretForeign
	// secretLeftover: there is one that the manager wrote for an APIKey of this name that
	// is no more, as a backup brings it back.
	secretLeftover
	// secretStale: it is the APIKey's own, and its api-key is not that of an accepted
	// version: it was edited, or is one that was revoked.
	secretStale
	// secretOutdated: its api-key is that of an accepted version, but in the form of an
	// earlier spec.secret, with a previous key that is no longer to be there, with the two
	// in each other's place, with another entry edited, or without one of the operator's
	// own marks.
	secretOutdated
	// secretCurrent: it is as it is to be, or as it was to be until a successor came.
	secretCurrent
)

// inspect finds out what is in the Secret's place. The cache knows only Secrets
// with our label, and may lag; so only good news is taken from it.
//
// While a new key waits for the auth servers nothing is asked that the creation of
// its Secret is going to find out: it fails if there is one.
func (r *APIKeyReconciler) inspect(ctx context.Context, p *pass) (next bool, err error) {
	name := client.ObjectKey{Namespace: p.key.Namespace, Name: p.key.SecretName()}
	cached := &corev1.Secret{}
	// Without waiting for our own writes: a Secret that loses our label on its way
	// into etcd never comes into this cache.
	switch err := r.Get(ctx, name, cached, client.DisableReadYourWritesConsistency); {
	case err == nil:
		if p.secret = stateOf(cached, p); p.secret == secretCurrent {
			return true, nil
		}
	case !apierrors.IsNotFound(err):
		return false, fmt.Errorf("get secret: %w", err)
	case r.awaitsPublication(p):
		p.secret = secretAbsent
		return true, nil
	}
	return true, r.inspectLive(ctx, p)
}

// awaitsPublication reports whether this process minted the first version, and has
// not put it in place yet.
func (r *APIKeyReconciler) awaitsPublication(p *pass) bool {
	version := p.pending()
	if version == nil || p.active() != nil {
		return false
	}
	_, ok := r.Escrow.Get(p.key.UID, version.ID)
	return ok
}

// inspectLive finds out what is in the Secret's place now.
func (r *APIKeyReconciler) inspectLive(ctx context.Context, p *pass) error {
	name := client.ObjectKey{Namespace: p.key.Namespace, Name: p.key.SecretName()}
	live := &corev1.Secret{}
	p.live, p.holds, p.previous = nil, "", ""
	switch err := r.Live.Get(ctx, name, live); {
	case apierrors.IsNotFound(err):
		p.secret = secretAbsent
		return nil
	case err != nil:
		return fmt.Errorf("get secret: %w", err)
	}
	p.held = heldKeys(live, p.key)
	keys.RedactSecretData(live.Data)
	p.secret, p.live = stateOf(live, p), live
	if p.secret == secretForeign {
		p.publication = stuck(v1alpha1.ReasonSecretConflict,
			conflict(live, p.key))
		// The cache does not see that Secret, so nothing will say when it goes.
		p.lookAgain(conflictRecheck)
	}
	return nil
}

// heldKeys takes the keys of accepted versions out of their own Secret, by key ID, so
// that they can be written in another form.
func heldKeys(secret *corev1.Secret, key *v1alpha1.APIKey) map[string]keys.Plaintext {
	if !metav1.IsControlledBy(secret, key) {
		return nil
	}
	held := map[string]keys.Plaintext{}
	for i := range key.Status.Versions {
		v := &key.Status.Versions[i]
		if v.Imported() || !v.State.Accepted() {
			continue
		}
		digest, err := keys.ParseDigest(v.SHA256)
		if err != nil {
			continue
		}
		// An error means that the Secret does not hold it: stateOf says what that means.
		if plaintext, err := keys.FromSecretData(secret.Data, digest); err == nil {
			held[v.ID] = plaintext
		}
	}
	return held
}

// stateOf judges a Secret whose data was redacted to digests, and notes in p what it
// holds if that can be relied on.
func stateOf(secret *corev1.Secret, p *pass) secretState {
	if !metav1.IsControlledBy(secret, p.key) {
		if leftover(secret, p.key) {
			return secretLeftover
		}
		return secretForeign
	}
	if secret.Type != corev1.SecretTypeOpaque {
		// Whoever may plant a Secret may name the APIKey as its owner. What fills such a
		// one, as the token controller does, would do so again after each key.
		return secretForeign
	}
	holds := heldVersion(secret, v1alpha1.SecretKeyAPIKey, p.key)
	edited := secret.Annotations[v1alpha1.AnnotationDataDigest] != keys.DataDigest(ownData(secret.Data, p.key))
	if holds == nil || edited && holds.State == v1alpha1.VersionRetiring {
		return secretStale
	}
	p.holds = holds.ID
	if previous := heldVersion(secret, v1alpha1.SecretKeyPreviousAPIKey, p.key); previous != nil {
		p.previous = previous.ID
	}
	_, extra := secret.Data[v1alpha1.SecretKeyPreviousAPIKey]
	switch {
	case edited, extra != (p.previous != ""), holds.State == v1alpha1.VersionRetiring:
		return secretOutdated
	case !hasEntries(secret.Labels, secretLabels(p.key)), !hasEntries(secret.Annotations, secretAnnotations(p.key, p.holds, p.previous)):
		return secretOutdated
	}
	return secretCurrent
}

// heldVersion returns the accepted version that an entry of a redacted Secret is the
// key of, or nil.
func heldVersion(secret *corev1.Secret, entry string, key *v1alpha1.APIKey) *v1alpha1.KeyVersion {
	digest := hex.EncodeToString(secret.Data[entry])
	for i := range key.Status.Versions {
		if v := &key.Status.Versions[i]; v.SHA256 == digest && v.State.Accepted() && !v.Imported() {
			return v
		}
	}
	return nil
}

func hasEntries(have, want map[string]string) bool {
	for name, value := range want {
		if got, ok := have[name]; !ok || got != value {
			return false
		}
	}
	return true
}
