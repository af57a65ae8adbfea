// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// The memory of the manager is to be bounded by what is permitted, and not by what is
// stored: whoever may create APIKeys or Secrets in some namespace can store as much as
// they like. So caches keep what decisions need.
//
// Every write of an APIKey is a patch of the difference that the manager has made. What a
// cache has left out is on neither side of it, and stays as it is stored.

const (
	// cachedTemplate is what is kept of the spec.secret of an APIKey that is not
	// permitted, in bytes: enough for ordinary ones, which then need no second look.
	cachedTemplate = 4 << 10
	// cachedSecret is what is kept of a Secret that holds a key, in bytes of names, labels
	// and annotations. One that has more is read from the API server each time.
	cachedSecret = 256 << 10
)

// trimAPIKey is the transform of the cache of APIKeys.
func trimAPIKey(obj any) (any, error) {
	key, ok := obj.(*v1alpha1.APIKey)
	if !ok {
		return obj, nil
	}
	key.ManagedFields, key.Labels = nil, nil
	key.Annotations = v1alpha1.RequesterAnnotations(key.Annotations)
	if !meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionPermitted) && templateSize(&key.Spec.Secret) > cachedTemplate {
		key.Spec.Secret = v1alpha1.SecretTemplate{Name: key.Spec.Secret.Name}
		key.Trimmed = true
	}
	return key, nil
}

func templateSize(template *v1alpha1.SecretTemplate) (size int) {
	for name, text := range template.Data {
		size += len(name) + len(text)
	}
	for name, value := range template.Labels {
		size += len(name) + len(value)
	}
	for name, value := range template.Annotations {
		size += len(name) + len(value)
	}
	return size
}

// trimOrganization is the transform of the cache of Organizations.
func trimOrganization(obj any) (any, error) {
	if organization, ok := obj.(*v1alpha1.Organization); ok {
		organization.ManagedFields, organization.Labels = nil, nil
		organization.Annotations = v1alpha1.RequesterAnnotations(organization.Annotations)
	}
	return obj, nil
}

// trimSecret is the transform of the cache of Secrets: RedactSecret, and of one that no
// APIKey controls, or that is too large, only whose it is. Anybody can give a Secret our
// label. inspect takes only good news from the cache, so it reads such a one live.
func trimSecret(obj any) (any, error) {
	obj, err := RedactSecret(obj)
	secret, ok := obj.(*corev1.Secret)
	if err != nil || !ok {
		return obj, err
	}
	owner := metav1.GetControllerOf(secret)
	if owner == nil || owner.Kind != "APIKey" || secretSize(secret) > cachedSecret {
		kept := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace: secret.Namespace, Name: secret.Name, UID: secret.UID, ResourceVersion: secret.ResourceVersion,
		}}
		if label := secret.Labels[v1alpha1.LabelAPIKey]; len(label) > 0 {
			kept.Labels = map[string]string{v1alpha1.LabelAPIKey: label}
		}
		if owner != nil {
			kept.OwnerReferences = []metav1.OwnerReference{*owner}
		}
		return kept, nil
	}
	return secret, nil
}

// secretSize is what a Secret takes whose data was redacted.
func secretSize(secret *corev1.Secret) (size int) {
	for name, digest := range secret.Data {
		size += len(name) + len(digest)
	}
	for name, value := range secret.Labels {
		size += len(name) + len(value)
	}
	for name, value := range secret.Annotations {
		size += len(name) + len(value)
	}
	for i := range secret.OwnerReferences {
		size += len(secret.OwnerReferences[i].Name) + len(secret.OwnerReferences[i].UID)
	}
	return size
}
