// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"crypto/sha256"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

const (
	// cachedEntries and cachedMeta bound what a Secret may have that is cached whole, in
	// entries of its data, and in bytes of all else. Whoever may write Secrets may name an
	// APIKey as the owner of any number of them. A Secret of ours that has more, since its
	// spec.secret asks for it, is read from the API server at each pass.
	cachedEntries = 48
	cachedMeta    = 6 << 10
)

// TransformSecret is the transform of the Secret cache. Our label can be put on any Secret, so
// one that cannot be as the manager writes it is cached as a name and an owner: only good
// news is taken from the cache, and there is none of it. Else whoever stores Secrets would
// decide how much memory the manager has.
func TransformSecret(obj any) (any, error) {
	secret, ok := obj.(*corev1.Secret)
	if !ok || mayBeOurs(secret) {
		return redactSecret(obj)
	}
	reduced := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: secret.Namespace, Name: secret.Name, UID: secret.UID, ResourceVersion: secret.ResourceVersion,
			DeletionTimestamp: secret.DeletionTimestamp,
		},
		Type: secret.Type,
	}
	if owner := metav1.GetControllerOfNoCopy(secret); owner != nil {
		reduced.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	if name, ok := secret.Labels[v1alpha1.LabelAPIKey]; ok {
		reduced.Labels = map[string]string{v1alpha1.LabelAPIKey: name}
	}
	return reduced, nil
}

// mayBeOurs reports whether a Secret could be as the manager writes it.
func mayBeOurs(secret *corev1.Secret) bool {
	owner := metav1.GetControllerOfNoCopy(secret)
	if owner == nil || owner.Kind != "APIKey" || secret.Type != corev1.SecretTypeOpaque || len(secret.Data) > cachedEntries {
		return false
	}
	group, err := schema.ParseGroupVersion(owner.APIVersion)
	if err != nil || group.Group != v1alpha1.GroupVersion.Group {
		return false
	}
	size := 0
	for name := range secret.Data {
		size += len(name) + sha256.Size
	}
	for _, texts := range []map[string]string{secret.Labels, secret.Annotations} {
		for name, text := range texts {
			if name != corev1.LastAppliedConfigAnnotation { // which is not cached
				size += len(name) + len(text)
			}
		}
	}
	for i := range secret.OwnerReferences {
		size += len(secret.OwnerReferences[i].Name) + len(secret.OwnerReferences[i].UID)
	}
	return size <= cachedMeta
}

// redactSecret is what the cache keeps of a Secret of ours: digests instead of data, and no
// copy of what somebody applied with kubectl, which quotes the data in an annotation.
func redactSecret(obj any) (any, error) {
	secret, ok := obj.(*corev1.Secret)
	if !ok {
		return obj, nil
	}
	keys.RedactSecretData(secret.Data)
	secret.ManagedFields = nil
	delete(secret.Annotations, corev1.LastAppliedConfigAnnotation)
	return secret, nil
}
