// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// The memory of the manager is to be bounded by what is permitted, and not by what is
// stored: whoever may create APIKeys or Secrets in some namespace can store as much as
// they like. So caches keep what decisions need.
//
// Every write of an APIKey is a patch of the difference that the manager has made. What a
// cache has left out is on neither side of it, and stays as it is stored.

// cachedTemplate is what is kept of the spec.secret of an APIKey that is not permitted, in
// bytes: enough for ordinary ones, which then need no second look.
const cachedTemplate = 4 << 10

// TransformAPIKey is the transform of the cache of APIKeys.
func TransformAPIKey(obj any) (any, error) {
	key, ok := obj.(*v1alpha1.APIKey)
	if !ok {
		return obj, nil
	}
	key.ManagedFields, key.Labels = nil, nil
	key.Annotations = v1alpha1.RequesterAnnotations(key.Annotations)
	if key.Status.Acceptance != v1alpha1.AcceptanceAccepted && templateSize(&key.Spec.Secret) > cachedTemplate {
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

// TransformOrganization is the transform of the cache of Organizations.
func TransformOrganization(obj any) (any, error) {
	if organization, ok := obj.(*v1alpha1.Organization); ok {
		organization.ManagedFields, organization.Labels = nil, nil
		organization.Annotations = v1alpha1.RequesterAnnotations(organization.Annotations)
	}
	return obj, nil
}
