// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
	"github.com/hexcovery/apikey-operator/internal/refusal"
)

// FieldOwner is the name under which the manager writes. Its connections must
// use it too, for it tells which labels of a Secret are the manager's to remove.
const FieldOwner = "hexcovery-apikey-manager"

// writeSecret makes one write of one of the Secrets, on condition that it is what was seen,
// and has the facts say what has come of it.
func (l *look) writeSecret(ctx context.Context, w *lifecycle.SecretWrite) error {
	place := &l.facts.Secret
	if w.Previous {
		place = &l.facts.Previous
	}
	written, err := l.put(ctx, place.Secret, w)
	if by, refused := refusal.Of(err); refused {
		if w.Previous {
			l.facts.PreviousRefused = true
		} else {
			l.facts.Refusal = by
		}
		return nil
	}
	switch {
	case l.facts.Template != "":
		return nil
	case apierrors.IsAlreadyExists(err):
		// Somebody's, or the APIKey's own, of which the cache did not tell yet.
		return l.observeSecrets(ctx, true)
	case err != nil:
		// What the API server says of a Secret may quote the Secret.
		return fmt.Errorf("write secret: %w", refusal.Quiet(err))
	}
	if written != nil {
		keys.RedactSecretData(written.Data)
	}
	*place = lifecycle.Place{Live: true, Secret: written}
	if w.Form != "" {
		l.noteWritten(written, w)
	}
	return nil
}

// put writes a Secret in place of the one that was seen, and returns it; nil where
// spec.secret.data cannot be written, which the facts then say.
func (l *look) put(ctx context.Context, seen *corev1.Secret, w *lifecycle.SecretWrite) (*corev1.Secret, error) {
	if w.KeyID == "" {
		return nil, client.IgnoreNotFound(l.Delete(ctx, seen, exactly(seen), client.DisableReadYourWritesConsistency))
	}
	var data map[string][]byte
	var err error
	key, plaintext, name := l.facts.Key, l.held[w.KeyID], l.facts.Key.SecretName()
	if w.Previous {
		name, data = name+v1alpha1.PreviousSuffix, plaintext.KeyData()
	} else if data, err = plaintext.SecretData(lifecycle.Templates(key), lifecycle.Variables(key)); err != nil {
		l.facts.Template = err.Error()
		return nil, nil //nolint:nilerr // the facts say it
	}
	owner := *metav1.NewControllerRef(key, v1alpha1.GroupVersion.WithKind("APIKey"))
	written := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: name, OwnerReferences: []metav1.OwnerReference{owner}},
		Type:       corev1.SecretTypeOpaque,
	}
	update := seen != nil && !ptr.Deref(seen.Immutable, false)
	switch {
	case update && w.Anew:
		written.UID, written.ResourceVersion = seen.UID, seen.ResourceVersion
	case update:
		written = seen.DeepCopy()
	case seen != nil:
		// Whoever may write Secrets must not be able to keep a key from being replaced.
		if err := l.Delete(ctx, seen, exactly(seen), client.DisableReadYourWritesConsistency); err != nil {
			return nil, err
		}
	}
	l.fill(written, data, w)
	if update {
		return written, l.Update(ctx, written, client.DisableReadYourWritesConsistency)
	}
	// Create, and never apply: a Secret that somebody made meanwhile stays.
	return written, l.Create(ctx, written, client.DisableReadYourWritesConsistency)
}

// exactly is the condition that a Secret is what was seen.
func exactly(secret *corev1.Secret) client.Preconditions {
	return client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion}
}

// fill gives a Secret the data, labels and annotations that it is to have. Labels and
// annotations of others stay.
func (l *look) fill(secret *corev1.Secret, data map[string][]byte, w *lifecycle.SecretWrite) {
	redacted := maps.Clone(data)
	keys.RedactSecretData(redacted)
	annotations := lifecycle.SecretAnnotations(l.facts.Key, w.KeyID, w.Previous)
	annotations[v1alpha1.AnnotationDataDigest] = keys.DataDigest(redacted)
	if w.Mark != "" {
		annotations[v1alpha1.AnnotationAbandonedKeyID] = w.Mark
	} else if mark, ok := secret.Annotations[v1alpha1.AnnotationAbandonedKeyID]; ok {
		annotations[v1alpha1.AnnotationAbandonedKeyID] = mark
	}
	secret.Data = data
	secret.Labels = merged(secret, "labels", secret.Labels, lifecycle.SecretLabels(l.facts.Key))
	secret.Annotations = merged(secret, "annotations", secret.Annotations, annotations)
}

// merged returns the labels or annotations that a Secret has, without those that the manager
// has set, as the API server keeps track of them, and with those that it wants: what spec no
// longer asks for goes.
func merged(secret *corev1.Secret, field string, have, want map[string]string) map[string]string {
	metadata, result := "metadata", map[string]string{}
	maps.Copy(result, have)
	for _, entry := range secret.ManagedFields {
		set := fieldpath.NewSet()
		if entry.Manager != FieldOwner || entry.FieldsV1 == nil || set.FromJSON(entry.FieldsV1.GetRawReader()) != nil {
			continue
		}
		own := set.WithPrefix(fieldpath.PathElement{FieldName: &metadata}).WithPrefix(fieldpath.PathElement{FieldName: &field})
		own.Members.Iterate(func(name fieldpath.PathElement) { delete(result, ptr.Deref(name.FieldName, "")) })
	}
	maps.Copy(result, want)
	return result
}

// noteWritten remembers in what form a Secret was written, and tells if it had that form
// before: somebody has changed it.
func (l *look) noteWritten(secret *corev1.Secret, w *lifecycle.SecretWrite) {
	if l.facts.Repairs.Of(w.Previous).Written(w.Form, l.facts.Now) {
		l.Events.Warning(l.facts.Key, v1alpha1.EventSecretRepaired, "Publish",
			"Secret %s was edited, but not its api-key. It is put right, and the key stays.", secret.Name)
	}
	l.remember()
}

// removeSecrets deletes the Secrets of an APIKey that is being deleted.
func (l *look) removeSecrets(ctx context.Context) error {
	name := l.facts.Key.SecretName()
	names := []string{name}
	previous, err := l.readSecret(ctx, name+v1alpha1.PreviousSuffix, false)
	if err != nil {
		return err
	}
	if previous != nil || len(l.facts.Key.Status.Versions) > 1 {
		// Otherwise no key was replaced lately, and the API server need not be asked.
		names = append(names, name+v1alpha1.PreviousSuffix)
	}
	for _, name := range names {
		err := l.deleteSecret(ctx, name)
		if by, refused := refusal.Of(err); refused {
			l.facts.Refusal = by
			return nil
		}
		if err != nil {
			return fmt.Errorf("delete secret: %w", refusal.Quiet(err))
		}
	}
	l.facts.Removed = true
	l.remember()
	return nil
}

// deleteSecret deletes a Secret if it is the APIKey's own. Its data is not read for that.
func (l *look) deleteSecret(ctx context.Context, name string) error {
	secret, err := l.readSecret(ctx, name, false)
	if err != nil {
		return err
	}
	if secret == nil || !metav1.IsControlledBy(secret, l.facts.Key) {
		// The cache may lag, and has none without our label.
		live := metadataOf("Secret")
		if err := l.Live.Get(ctx, client.ObjectKey{Namespace: l.facts.Key.Namespace, Name: name}, live); err != nil {
			return client.IgnoreNotFound(err)
		}
		if !metav1.IsControlledBy(live, l.facts.Key) {
			return nil
		}
		secret = &corev1.Secret{ObjectMeta: live.ObjectMeta}
	}
	// Nothing here reads that name again, and a Secret without our label would never be seen
	// by the cache to be gone.
	return client.IgnoreNotFound(l.Delete(ctx, secret, client.Preconditions{UID: &secret.UID}, client.DisableReadYourWritesConsistency))
}

// observeSecrets finds out what is in the places of the Secrets: what the cache has, or live,
// what the API server has, with the keys of accepted versions.
func (l *look) observeSecrets(ctx context.Context, live bool) error {
	name := l.facts.Key.SecretName()
	secret, err := l.readSecret(ctx, name, live)
	if err != nil {
		return err
	}
	l.facts.Secret, l.facts.Previous.Live = lifecycle.Place{Live: live, Secret: secret}, live
	if len(l.facts.Key.Status.Versions) < 2 && l.facts.Previous.Secret == nil && (live || secret == nil) {
		return nil
	}
	l.facts.Previous.Secret, err = l.readSecret(ctx, name+v1alpha1.PreviousSuffix, live)
	return err
}

// readSecret returns a Secret with digests in place of its data; nil for none.
func (l *look) readSecret(ctx context.Context, name string, live bool) (*corev1.Secret, error) {
	secret, reader := &corev1.Secret{}, client.Reader(l.Client)
	if live {
		reader = l.Live
	}
	// Without waiting for our own writes: a Secret that loses our label on its way into etcd
	// never comes into the cache.
	err := reader.Get(ctx, client.ObjectKey{Namespace: l.facts.Key.Namespace, Name: name}, secret, client.DisableReadYourWritesConsistency)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("get secret: %w", err)
	case live:
		l.takeKey(secret)
	}
	return secret, nil
}

// takeKey redacts the data of a Secret. The key of an accepted version is taken out of the
// APIKey's own first, so that it can be written in another form.
func (l *look) takeKey(secret *corev1.Secret) {
	data := maps.Clone(secret.Data)
	keys.RedactSecretData(secret.Data)
	v := lifecycle.HeldVersion(secret, &l.facts.Key.Status)
	if v == nil || !metav1.IsControlledBy(secret, l.facts.Key) || !l.facts.Key.StatusIsOwn() {
		return
	}
	if digest, err := keys.ParseDigest(v.SHA256); err == nil {
		if plaintext, err := keys.FromSecretData(data, digest); err == nil {
			l.hold(v.ID, plaintext)
		}
	}
}

// hold has a key be one that can be written.
func (l *look) hold(id string, plaintext keys.Plaintext) {
	l.held[id] = plaintext
	l.facts.Held.Insert(id)
}
