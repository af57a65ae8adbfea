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

// publish puts the key that every live auth server knows into its Secret, with the key
// that it replaces beside it.
func (r *APIKeyReconciler) publish(ctx context.Context, p *pass) (next bool, err error) {
	version := p.current()
	if (p.secret != secretCurrent || p.holds != version.ID) && !r.putsOffRepair(p, version) {
		if written, err := r.writeSecret(ctx, p); err != nil || !written {
			return false, err
		}
	}
	p.publication = good(v1alpha1.ReasonPublished, fmt.Sprintf("Secret %q holds key %s", p.key.SecretName(), version.ID))
	p.key.Status.KeyID = version.ID
	p.key.Status.SecretRef = &v1alpha1.SecretReference{Name: p.key.SecretName()}
	if version.State == v1alpha1.VersionActive {
		return true, nil
	}
	if active := p.active(); active != nil {
		p.rotated = active.ID
		p.retire(version)
	}
	p.activate(version)
	p.published, p.publishedFor = true, version.MintReason
	return true, nil
}

// writeSecret creates the Secret, or brings it up to date. It reports false when
// that has to wait for a person.
func (r *APIKeyReconciler) writeSecret(ctx context.Context, p *pass) (written bool, err error) {
	if p.live == nil && p.secret != secretAbsent {
		// The cache has no keys, and what is written must be what was seen.
		if err := r.inspectLive(ctx, p); err != nil {
			return false, err
		}
		if p.secret == secretForeign || p.active() != nil && p.holds == "" {
			// Somebody was faster: the next pass judges it.
			p.lookAgain(conflictRetry)
			return false, nil
		}
	}
	if p.givenUp() {
		return false, r.replaceGivenUp(ctx, p)
	}
	if superseded, err := r.superseded(ctx, p); err != nil || superseded {
		// The watch brings what the APIKey has become.
		p.lookAgain(conflictRecheck)
		return false, err
	}
	content, err := r.secretContent(p, p.current())
	if err != nil {
		p.publication = invalidTemplate(err)
		return false, nil
	}
	switch {
	case p.live == nil:
		// Create, and never apply: a Secret that somebody made meanwhile stays.
		err = r.Create(ctx, newSecret(p.key, content), client.DisableReadYourWritesConsistency)
	case p.secret == secretLeftover:
		err = r.Update(ctx, takenOver(p.live, newSecret(p.key, content)), client.DisableReadYourWritesConsistency)
	case ptr.Deref(p.live.Immutable, false):
		err = r.replaceImmutable(ctx, p, content)
	default:
		// Conditional on the Secret that inspect saw to be the APIKey's own.
		err = r.Update(ctx, renewedSecret(p.live, p.key, content), client.DisableReadYourWritesConsistency)
	}
	switch {
	case err == nil:
		p.holds, p.previous = content.current, content.previous
		r.noteWritten(p, content.current)
		return true, nil
	case apierrors.IsAlreadyExists(err) && p.live == nil:
		return r.meetSecret(ctx, p)
	default:
		return false, secretNotWritten(p, err)
	}
}

// replaceImmutable deletes the APIKey's own Secret, which somebody has made immutable, and
// creates it anew: whoever may write Secrets must not be able to keep a key from being
// replaced.
func (r *APIKeyReconciler) replaceImmutable(ctx context.Context, p *pass, content secretContent) error {
	seen := client.Preconditions{UID: &p.live.UID, ResourceVersion: &p.live.ResourceVersion}
	if err := r.Delete(ctx, p.live, seen); err != nil {
		return err
	}
	return r.Create(ctx, newSecret(p.key, content), client.DisableReadYourWritesConsistency)
}

// givenUp reports whether a mark in the Secret says that another manager, which began to lead
// while this one was paused, has given up the key that this one is about to put there. If the
// mark is not seen here the write will fail.
func (p *pass) givenUp() bool {
	version := p.current()
	return p.live != nil && p.active() != nil && version.State == v1alpha1.VersionPending &&
		p.live.Annotations[v1alpha1.AnnotationAbandonedKeyID] == version.ID
}

// replaceGivenUp gives up, in the status, the key that was given up by a mark, and mints
// another: the manager that has set the mark may have ended before it did that. If it has
// not, one of the two writes is refused. Whoever may write the Secret may set the mark, too,
// so it is done later and later.
func (r *APIKeyReconciler) replaceGivenUp(ctx context.Context, p *pass) error {
	if wait := r.repairs.giveUp(p.key.UID, p.now); wait > 0 {
		p.lookAgain(wait)
		return nil
	}
	version := p.current()
	p.due = version.MintReason
	end(version, v1alpha1.RevokedAbandoned)
	_, err := r.mint(ctx, p)
	return err
}

// superseded reports whether another manager leads since this one was paused, and has
// given up the first key of an APIKey, which this one is about to put into a Secret that is
// there: what is seen here of the APIKey is old. Should it change after that, then the key
// that comes in place of this one is written again.
func (r *APIKeyReconciler) superseded(ctx context.Context, p *pass) (bool, error) {
	version := p.current()
	if p.live == nil || version.State != v1alpha1.VersionPending || p.active() != nil {
		return false, nil
	}
	present := &v1alpha1.APIKey{}
	if err := r.Live.Get(ctx, p.identity(), present); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("get APIKey: %w", err)
	}
	pending := minted(present, v1alpha1.VersionPending)
	return pending == nil || pending.ID != version.ID, nil
}

// meetSecret goes on when there is a Secret where one was to be created: that of
// somebody else, or the APIKey's own, of which the cache did not tell yet.
func (r *APIKeyReconciler) meetSecret(ctx context.Context, p *pass) (written bool, err error) {
	switch err := r.inspectLive(ctx, p); {
	case err != nil:
		return false, err
	case p.secret == secretForeign:
		r.disown(p)
		return false, nil
	case p.secret == secretCurrent && p.holds == p.current().ID:
		return true, nil
	case p.live == nil:
		// It went again meanwhile.
		p.lookAgain(conflictRetry)
		return false, nil
	}
	return r.writeSecret(ctx, p)
}

// fence writes the Secret as it is, but for a mark, so that a manager that was paused on
// its way to publish pending does not: either it has seen the Secret before, and its write
// is conditional on that, or it sees the mark, which stays. It reports false if that write has come through, or anything else has changed.
func (r *APIKeyReconciler) fence(ctx context.Context, p *pass, pending *v1alpha1.KeyVersion) (fenced bool, err error) {
	holds := p.holds
	if p.live == nil {
		if err := r.inspectLive(ctx, p); err != nil {
			return false, err
		}
	}
	if p.live == nil || p.holds != holds {
		p.lookAgain(conflictRetry)
		return false, nil
	}
	if p.live.Annotations[v1alpha1.AnnotationAbandonedKeyID] == pending.ID {
		return true, nil
	}
	content, err := r.secretContent(p, p.version(holds))
	if err != nil {
		p.publication = invalidTemplate(err)
		return false, nil
	}
	marked := renewedSecret(p.live, p.key, content)
	marked.Annotations[v1alpha1.AnnotationAbandonedKeyID] = pending.ID
	if err := r.Update(ctx, marked, client.DisableReadYourWritesConsistency); err != nil {
		return false, secretNotWritten(p, err)
	}
	// Its data is not redacted, and of no use here.
	p.live = nil
	return true, nil
}

func invalidTemplate(err error) finding {
	return stuck(v1alpha1.ReasonInvalidTemplate, fmt.Sprintf("spec.secret.data: %v", err))
}

// secretNotWritten returns an error that is to be tried again, or notes in p what a person
// has to change.
func secretNotWritten(p *pass, err error) error {
	if !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
		return fmt.Errorf("write secret: %w", &secretWriteError{cause: err})
	}
	// What the API server says of a Secret may quote the Secret.
	p.publication = stuck(v1alpha1.ReasonSecretRefused,
		fmt.Sprintf("the API server refuses the Secret (%s): look at the namespace's quotas and admission policies", apierrors.ReasonForError(err)))
	p.lookAgain(conflictRecheck)
	return nil
}

// secretContent renders what the Secret is to hold: the key of version, from where it
// waits or, when only the form has changed, from the Secret; and the previous one.
func (r *APIKeyReconciler) secretContent(p *pass, version *v1alpha1.KeyVersion) (secretContent, error) {
	plaintext, ok := r.Escrow.Get(p.key.UID, version.ID)
	if !ok {
		plaintext = p.held[version.ID]
	}
	content := secretContent{current: version.ID}
	var err error
	if content.data, err = plaintext.SecretData(templates(p.key), variables(p.key)); err != nil {
		return secretContent{}, err
	}
	if previous := p.predecessor(version); previous != "" {
		content.previous = previous
		p.held[previous].AddPrevious(content.data)
	}
	return content, nil
}

// predecessor returns the ID of the key that is to be in the Secret beside that of
// version: the one that it replaces now or has replaced last, while that works.
func (p *pass) predecessor(version *v1alpha1.KeyVersion) string {
	for _, id := range []string{p.holds, p.previous} {
		if v := p.version(id); v != nil && v.State.Accepted() && id != version.ID && !p.held[id].IsZero() {
			return id
		}
	}
	return ""
}

// announce tells what a pass has published, after the status says so.
func (r *APIKeyReconciler) announce(ctx context.Context, p *pass) {
	if p.published {
		r.Escrow.Drop(p.key.UID)
		r.record(ctx, p, audit.Event{
			Action: audit.Published, KeyID: p.key.Status.KeyID,
			Reason: string(p.publishedFor), Actor: actorOfVersion(p, mintCauses, p.publishedFor),
		})
		if p.rotated == "" {
			r.Events.minted(p.key)
		}
	}
	r.announceTurnover(ctx, p)
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
func newSecret(key *v1alpha1.APIKey, content secretContent) *corev1.Secret {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       key.Namespace,
			Name:            key.SecretName(),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(key, v1alpha1.GroupVersion.WithKind("APIKey"))},
		},
		Type: corev1.SecretTypeOpaque,
	}
	return renewedSecret(secret, key, content)
}
