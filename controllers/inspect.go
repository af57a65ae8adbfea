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
	// secretForeign: there is one that the APIKey does not own.
	secretForeign
	// secretStale: it is the APIKey's own, and does not hold the key of the
	// current version as it was written: of an earlier version, or edited.
	secretStale
	// secretOutdated: it holds the key, untouched, but in the form of an earlier
	// spec.secret, or without one of the operator's own marks.
	secretOutdated
	// secretCurrent: it is as it is to be.
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

// awaitsPublication reports whether this process minted the current version, and has
// not put it in place yet.
func (r *APIKeyReconciler) awaitsPublication(p *pass) bool {
	version := p.current()
	if version == nil || version.State != v1alpha1.VersionPending {
		return false
	}
	_, ok := r.Escrow.Get(p.key.UID, version.ID)
	return ok
}

// inspectLive finds out what is in the Secret's place now.
func (r *APIKeyReconciler) inspectLive(ctx context.Context, p *pass) error {
	name := client.ObjectKey{Namespace: p.key.Namespace, Name: p.key.SecretName()}
	live := &corev1.Secret{}
	switch err := r.Live.Get(ctx, name, live); {
	case apierrors.IsNotFound(err):
		p.secret = secretAbsent
		return nil
	case err != nil:
		return fmt.Errorf("get secret: %w", err)
	}
	p.held = heldKey(live, p)
	keys.RedactSecretData(live.Data)
	p.secret, p.live = stateOf(live, p), live
	if p.secret == secretForeign {
		p.publication = stuck(v1alpha1.ReasonSecretConflict,
			fmt.Sprintf("there is a Secret %q that this APIKey does not own, and it is left as it is: delete or rename it, or set spec.secret.name in a new APIKey", name.Name))
		// The cache does not see that Secret, so nothing will say when it goes.
		p.lookAgain(conflictRecheck)
	}
	return nil
}

// heldKey takes the key of the current version out of its own Secret, so that it
// can be written in another form; zero if it is not there.
func heldKey(secret *corev1.Secret, p *pass) keys.Plaintext {
	version := p.current()
	if version == nil || !metav1.IsControlledBy(secret, p.key) {
		return keys.Plaintext{}
	}
	digest, err := keys.ParseDigest(version.SHA256)
	if err != nil {
		return keys.Plaintext{}
	}
	// An error means that the Secret holds something else: stateOf says so.
	held, _ := keys.FromSecretData(secret.Data, digest)
	return held
}

// stateOf judges a Secret whose data was redacted to digests.
func stateOf(secret *corev1.Secret, p *pass) secretState {
	if !metav1.IsControlledBy(secret, p.key) {
		return secretForeign
	}
	version := p.current()
	if version == nil || hex.EncodeToString(secret.Data[v1alpha1.SecretKeyAPIKey]) != version.SHA256 {
		return secretStale
	}
	written, marked := secret.Annotations[v1alpha1.AnnotationDataDigest]
	switch {
	case !marked:
		return secretOutdated
	case written != keys.DataDigest(secret.Data):
		return secretStale
	case !hasEntries(secret.Labels, secretLabels(p.key)), !hasEntries(secret.Annotations, secretAnnotations(p.key, version)):
		return secretOutdated
	}
	return secretCurrent
}

func hasEntries(have, want map[string]string) bool {
	for name, value := range want {
		if got, ok := have[name]; !ok || got != value {
			return false
		}
	}
	return true
}
