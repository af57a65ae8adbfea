// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
)

// publish puts the key that every live auth server knows into its Secret.
func (r *APIKeyReconciler) publish(ctx context.Context, p *pass) (next bool, err error) {
	version := p.current()
	if p.secret != secretCurrent {
		if written, err := r.writeSecret(ctx, p, version); err != nil || !written {
			return false, err
		}
	}
	p.publication = good(v1alpha1.ReasonPublished, fmt.Sprintf("Secret %q holds key %s", p.key.SecretName(), version.ID))
	p.key.Status.KeyID = version.ID
	p.key.Status.SecretRef = &v1alpha1.SecretReference{Name: p.key.SecretName()}
	if version.State != v1alpha1.VersionActive {
		version.State = v1alpha1.VersionActive
		version.ActivatedAt = ptr.To(metav1.NewTime(p.now))
		p.published = true
	}
	return true, nil
}

// writeSecret creates the Secret, or brings it up to date. It reports false when
// that has to wait for a person.
func (r *APIKeyReconciler) writeSecret(ctx context.Context, p *pass, version *v1alpha1.KeyVersion) (written bool, err error) {
	data, err := r.secretData(p, version)
	if err != nil {
		p.publication = stuck(v1alpha1.ReasonInvalidTemplate, fmt.Sprintf("spec.secret.data: %v", err))
		return false, nil
	}
	if p.live == nil {
		// Create, and never apply: a Secret that somebody made meanwhile stays.
		secret := newSecret(p.key, version, data)
		err = r.Create(ctx, secret, client.DisableReadYourWritesConsistency)
	} else {
		// Conditional on the Secret that inspect saw to be the APIKey's own.
		err = r.Update(ctx, renewedSecret(p.live, p.key, version, data), client.DisableReadYourWritesConsistency)
	}
	switch {
	case err == nil:
		return true, nil
	case apierrors.IsAlreadyExists(err) && p.live == nil:
		return r.meetSecret(ctx, p, version)
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		// What the API server says of a Secret may quote the Secret.
		p.publication = stuck(v1alpha1.ReasonSecretRefused,
			fmt.Sprintf("the API server refuses the Secret (%s): look at the namespace's quotas and admission policies", apierrors.ReasonForError(err)))
		p.lookAgain(conflictRecheck)
		return false, nil
	default:
		return false, fmt.Errorf("write secret: %w", &secretWriteError{cause: err})
	}
}

// meetSecret goes on when there is a Secret where one was to be created: that of
// somebody else, or the APIKey's own, of which the cache did not tell yet.
func (r *APIKeyReconciler) meetSecret(ctx context.Context, p *pass, version *v1alpha1.KeyVersion) (written bool, err error) {
	switch err := r.inspectLive(ctx, p); {
	case err != nil:
		return false, err
	case p.secret == secretForeign:
		r.disown(p)
		return false, nil
	case p.secret == secretCurrent:
		return true, nil
	case p.live == nil:
		// It went again meanwhile.
		p.lookAgain(conflictRetry)
		return false, nil
	}
	return r.writeSecret(ctx, p, version)
}

// secretData renders the entries of the Secret, from the key that waits for it
// or, when only the form has changed, from the one that the Secret holds.
func (r *APIKeyReconciler) secretData(p *pass, version *v1alpha1.KeyVersion) (map[string][]byte, error) {
	plaintext, ok := r.Escrow.Get(p.key.UID, version.ID)
	if !ok {
		plaintext = p.held
	}
	return plaintext.SecretData(templates(p.key), variables(p.key))
}

// announce tells what a pass has published, after the status says so.
func (r *APIKeyReconciler) announce(ctx context.Context, p *pass) {
	if !p.published {
		return
	}
	r.Escrow.Drop(p.key.UID)
	r.record(ctx, p, audit.Event{Action: audit.Published, KeyID: p.key.Status.KeyID})
	r.Events.minted(p.key)
}

// secretWriteError keeps what the API server said of a Secret out of logs and
// statuses, for it may quote the Secret. What kind of error it is stays known.
type secretWriteError struct{ cause error }

func (e *secretWriteError) Error() string {
	return fmt.Sprintf("refused with reason %q, code %d", apierrors.ReasonForError(e.cause), statusCode(e.cause))
}

// Unwrap lets apierrors tell a conflict from an outage; it is never printed.
func (e *secretWriteError) Unwrap() error { return e.cause }

func statusCode(err error) int32 {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return status.Status().Code
	}
	return 0
}

// newSecret returns the Secret of key as it is created.
func newSecret(key *v1alpha1.APIKey, version *v1alpha1.KeyVersion, data map[string][]byte) *corev1.Secret {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       key.Namespace,
			Name:            key.SecretName(),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(key, v1alpha1.GroupVersion.WithKind("APIKey"))},
		},
		Type: corev1.SecretTypeOpaque,
	}
	return renewedSecret(secret, key, version, data)
}
