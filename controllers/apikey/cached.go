// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// The memory of the manager is to be bounded by what is permitted, and not by what is
// stored: whoever may create APIKeys or Secrets in some namespace can store as much as
// they like. So caches keep what decisions need.
//
// Every write of an APIKey is a patch of the difference that the manager has made. What a
// cache has left out is on neither side of it, and stays as it is stored.
const (
	// cachedTemplate is what is kept of the spec.secret of an APIKey that is not permitted, in
	// bytes: enough for ordinary ones, which then need no second look.
	cachedTemplate = 4 << 10
	// cachedEntries and cachedMeta bound what a Secret may have that is cached whole, in
	// entries of its data, and in bytes of all else. Whoever may write Secrets may name an
	// APIKey as the owner of any number of them. A Secret of ours that has more, since its
	// spec.secret asks for it, is read from the API server at each pass.
	cachedEntries = 48
	cachedMeta    = 6 << 10
)

// TransformAPIKey is the transform of the cache of APIKeys.
func TransformAPIKey(obj any) (any, error) {
	key, ok := obj.(*v1alpha1.APIKey)
	if !ok {
		return obj, nil
	}
	key.ManagedFields, key.Labels = nil, nil
	key.Annotations = v1alpha1.RequesterAnnotations(key.Annotations)
	template := key.Spec.Secret
	kept := size(template.Data) + size(template.Labels) + size(template.Annotations)
	if key.Status.Acceptance != v1alpha1.AcceptanceAccepted && kept > cachedTemplate {
		key.Spec.Secret, key.Trimmed = v1alpha1.SecretTemplate{Name: template.Name}, true
	}
	return key, nil
}

// size is how many bytes names and texts have together.
func size[T ~string | ~[]byte](texts map[string]T) (bytes int) {
	for name, text := range texts {
		bytes += len(name) + len(text)
	}
	return bytes
}

// TransformOrganization is the transform of the cache of Organizations.
func TransformOrganization(obj any) (any, error) {
	if organization, ok := obj.(*v1alpha1.Organization); ok {
		organization.ManagedFields, organization.Labels = nil, nil
		organization.Annotations = v1alpha1.RequesterAnnotations(organization.Annotations)
	}
	return obj, nil
}

// TransformSecret is the transform of the Secret cache: it keeps digests instead of data, and
// no copy of what somebody applied with kubectl, which quotes the data in an annotation.
//
// Our label can be put on any Secret, so one that cannot be as the manager writes it is cached
// as a name and an owner: only good news is taken from the cache, and there is none of it. Else
// whoever stores Secrets would decide how much memory the manager has.
func TransformSecret(obj any) (any, error) {
	secret, ok := obj.(*corev1.Secret)
	if !ok {
		return obj, nil
	}
	owner := metav1.GetControllerOfNoCopy(secret)
	if owner != nil && secret.Type == corev1.SecretTypeOpaque && len(secret.Data) <= cachedEntries &&
		schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).GroupKind() == v1alpha1.GroupVersion.WithKind("APIKey").GroupKind() {
		secret.ManagedFields = nil
		delete(secret.Annotations, corev1.LastAppliedConfigAnnotation)
		keys.RedactSecretData(secret.Data)
		meta := size(secret.Data) + size(secret.Labels) + size(secret.Annotations)
		for i := range secret.OwnerReferences {
			meta += len(secret.OwnerReferences[i].Name) + len(secret.OwnerReferences[i].UID)
		}
		if meta <= cachedMeta {
			return secret, nil
		}
	}
	reduced := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: secret.Namespace, Name: secret.Name, UID: secret.UID, ResourceVersion: secret.ResourceVersion,
			DeletionTimestamp: secret.DeletionTimestamp,
		},
		Type: secret.Type,
	}
	if owner != nil {
		reduced.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	if name, ok := secret.Labels[v1alpha1.LabelAPIKey]; ok {
		reduced.Labels = map[string]string{v1alpha1.LabelAPIKey: name}
	}
	return reduced, nil
}
