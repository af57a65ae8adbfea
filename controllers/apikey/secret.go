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
			l.facts.Refusal = &lifecycle.Refusal{By: by}
		}
		return nil
	}
	switch {
	case l.facts.Template != "":
		return nil
	case apierrors.IsAlreadyExists(err):
		// Somebody's, or the APIKey's own, of which the cache did not tell yet.
		return l.readSecrets(ctx)
	case err != nil:
		// What the API server says of a Secret may quote the Secret.
		return fmt.Errorf("write secret: %w", refusal.Quiet(err))
	}
	if written != nil {
		keys.RedactSecretData(written.Data)
	}
	*place = lifecycle.Place{Live: true, Secret: written}
	if w.Form != "" {
		l.noteWritten(w)
	}
	return nil
}

// put writes a Secret in place of the one that was seen, and returns it.
func (l *look) put(ctx context.Context, seen *corev1.Secret, w *lifecycle.SecretWrite) (*corev1.Secret, error) {
	if w.KeyID == "" {
		return nil, client.IgnoreNotFound(l.Delete(ctx, seen, exactly(seen), client.DisableReadYourWritesConsistency))
	}
	data := l.data(w)
	if data == nil {
		return nil, nil
	}
	written := l.newSecret(w)
	switch {
	case seen == nil:
		// Create, and never apply: a Secret that somebody made meanwhile stays.
		l.fill(written, data, w)
		return written, l.Create(ctx, written, client.DisableReadYourWritesConsistency)
	case ptr.Deref(seen.Immutable, false):
		// Whoever may write Secrets must not be able to keep a key from being replaced.
		if err := l.Delete(ctx, seen, exactly(seen), client.DisableReadYourWritesConsistency); err != nil {
			return nil, err
		}
		l.fill(written, data, w)
		return written, l.Create(ctx, written, client.DisableReadYourWritesConsistency)
	case w.Anew:
		written.UID, written.ResourceVersion = seen.UID, seen.ResourceVersion
	default:
		written = seen.DeepCopy()
	}
	l.fill(written, data, w)
	return written, l.Update(ctx, written, client.DisableReadYourWritesConsistency)
}

// exactly is the condition that a Secret is what was seen.
func exactly(secret *corev1.Secret) client.Preconditions {
	return client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion}
}

// data renders what a Secret is to hold; nil where spec.secret.data cannot be, which the facts
// then say.
func (l *look) data(w *lifecycle.SecretWrite) map[string][]byte {
	plaintext := l.held[w.KeyID]
	if w.Previous {
		return plaintext.KeyData()
	}
	data, err := plaintext.SecretData(lifecycle.Templates(l.facts.Key), lifecycle.Variables(l.facts.Key))
	if err != nil {
		l.facts.Template = err.Error()
	}
	return data
}

func (l *look) newSecret(w *lifecycle.SecretWrite) *corev1.Secret {
	key := l.facts.Key
	name := key.SecretName()
	if w.Previous {
		name += v1alpha1.PreviousSuffix
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: name,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(key, v1alpha1.GroupVersion.WithKind("APIKey"))},
		},
		Type: corev1.SecretTypeOpaque,
	}
}

// fill gives a Secret the data, labels and annotations that it is to have. Labels and
// annotations of others stay.
func (l *look) fill(secret *corev1.Secret, data map[string][]byte, w *lifecycle.SecretWrite) {
	key := l.facts.Key
	secret.Data = data
	redacted := maps.Clone(data)
	keys.RedactSecretData(redacted)
	annotations := lifecycle.SecretAnnotations(key, w.KeyID, w.Previous)
	annotations[v1alpha1.AnnotationDataDigest] = keys.DataDigest(redacted)
	if w.Mark != "" {
		annotations[v1alpha1.AnnotationAbandonedKeyID] = w.Mark
	} else if mark, ok := secret.Annotations[v1alpha1.AnnotationAbandonedKeyID]; ok {
		annotations[v1alpha1.AnnotationAbandonedKeyID] = mark
	}
	secret.Labels = merged(secret.Labels, lifecycle.SecretLabels(key), ownNames(secret, "labels"))
	secret.Annotations = merged(secret.Annotations, annotations, ownNames(secret, "annotations"))
}

// merged returns have without the names in own, and with want.
func merged(have, want map[string]string, own []string) map[string]string {
	result := make(map[string]string, len(have)+len(want))
	maps.Copy(result, have)
	for _, name := range own {
		delete(result, name)
	}
	maps.Copy(result, want)
	return result
}

// ownNames returns the names of labels or annotations that the manager has set,
// as the API server keeps track of them: what spec no longer asks for goes.
func ownNames(secret *corev1.Secret, field string) []string {
	var names []string
	for _, entry := range secret.ManagedFields {
		if entry.Manager != FieldOwner || entry.FieldsV1 == nil {
			continue
		}
		set := &fieldpath.Set{}
		if err := set.FromJSON(entry.FieldsV1.GetRawReader()); err != nil {
			continue
		}
		set.Iterate(func(path fieldpath.Path) {
			if len(path) == 3 && pathIs(path, "metadata", field) && path[2].FieldName != nil {
				names = append(names, *path[2].FieldName)
			}
		})
	}
	return names
}

func pathIs(path fieldpath.Path, names ...string) bool {
	for i, name := range names {
		if path[i].FieldName == nil || *path[i].FieldName != name {
			return false
		}
	}
	return true
}

// noteWritten remembers in what form the Secret was written, and tells if it had that form
// before: somebody has changed it.
func (l *look) noteWritten(w *lifecycle.SecretWrite) {
	again := l.facts.Repairs.Form == w.Form
	l.facts.Repairs = l.remember(l.facts.Key.UID, func(m *memory) {
		if m.repairs.Form, m.repairs.Again = w.Form, 0; again {
			m.repairs.Again, m.repairs.Last = lifecycle.Another(l.facts.Repairs.Again, l.facts.Repairs.Last, l.facts.Now), l.facts.Now
		}
	}).repairs
	if again {
		l.Events.Warning(l.facts.Key, v1alpha1.EventSecretRepaired, "Publish",
			"Secret %s was edited, but not its api-key. It is put right, and the key stays.", l.facts.Key.SecretName())
	}
}

// deleteSecret deletes a Secret if it is the APIKey's own. Its data is not read for that.
func (l *look) deleteSecret(ctx context.Context, name string) error {
	key := l.facts.Key
	secret, err := l.cachedSecret(ctx, name)
	if err != nil {
		return err
	}
	if secret == nil || !metav1.IsControlledBy(secret, key) {
		// The cache may lag, and has none without our label.
		live := &metav1.PartialObjectMetadata{}
		live.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		if err := l.Live.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: name}, live); err != nil {
			return client.IgnoreNotFound(err)
		}
		if !metav1.IsControlledBy(live, key) {
			return nil
		}
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: name, UID: live.UID}}
	}
	// Nothing here reads that name again, and a Secret without our label would never be seen
	// by the cache to be gone.
	return client.IgnoreNotFound(l.Delete(ctx, secret, client.Preconditions{UID: &secret.UID}, client.DisableReadYourWritesConsistency))
}
