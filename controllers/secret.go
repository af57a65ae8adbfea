// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// FieldOwner is the name under which the manager writes. Its connections must
// use it too, for it tells which labels of a Secret are the manager's to remove.
const FieldOwner = "hexcovery-apikey-manager"

// templates are the entries of the Secret that spec asks for.
func templates(key *v1alpha1.APIKey) map[string]string {
	texts := make(map[string]string, len(key.Spec.Secret.Data))
	for name, text := range key.Spec.Secret.Data {
		texts[name] = string(text)
	}
	return texts
}

func variables(key *v1alpha1.APIKey) keys.Variables {
	return keys.Variables{OrganizationID: key.Status.OrganizationID}
}

// secretLabels are the labels that the Secret is to have, at least.
func secretLabels(key *v1alpha1.APIKey) map[string]string {
	labels := make(map[string]string, len(key.Spec.Secret.Labels)+1)
	for name, value := range key.Spec.Secret.Labels {
		labels[name] = string(value)
	}
	labels[v1alpha1.LabelAPIKey] = key.Name
	return labels
}

// secretAnnotations are the annotations that the Secret is to have, at least,
// but for the digest of its data. current and previous are the IDs of the keys that it
// holds; previous may be empty.
func secretAnnotations(key *v1alpha1.APIKey, current, previous string) map[string]string {
	annotations := make(map[string]string, len(key.Spec.Secret.Annotations)+3)
	for name, value := range key.Spec.Secret.Annotations {
		annotations[name] = string(value)
	}
	annotations[v1alpha1.AnnotationKeyID] = current
	if previous != "" {
		annotations[v1alpha1.AnnotationPreviousKeyID] = previous
	}
	annotations[v1alpha1.AnnotationTemplateDigest] = formDigest(key)
	return annotations
}

// formDigest changes with everything that spec.secret asks for, so that what it
// asks for no longer is noticed too.
func formDigest(key *v1alpha1.APIKey) string {
	form := map[string]string{}
	for name, text := range key.Spec.Secret.Data {
		form["data "+name] = string(text)
	}
	for name, value := range key.Spec.Secret.Labels {
		form["label "+name] = string(value)
	}
	for name, value := range key.Spec.Secret.Annotations {
		form["annotation "+name] = string(value)
	}
	return keys.TemplateDigest(form, variables(key))
}

// ownData is what of a Secret's data the manager writes. Entries that others add are
// theirs, until the Secret is written the next time.
func ownData(data map[string][]byte, key *v1alpha1.APIKey) map[string][]byte {
	own := make(map[string][]byte, len(data))
	for _, name := range keys.EntryNames(templates(key)) {
		if value, ok := data[name]; ok {
			own[name] = value
		}
	}
	return own
}

// secretContent is what a Secret is to hold.
type secretContent struct {
	// current and previous are the IDs of its keys; previous may be empty.
	current, previous string
	data              map[string][]byte
}

// renewedSecret returns secret with the data, labels and annotations that it is
// to have. Labels and annotations of others stay.
func renewedSecret(secret *corev1.Secret, key *v1alpha1.APIKey, content secretContent) *corev1.Secret {
	renewed := secret.DeepCopy()
	renewed.Data = content.data
	redacted := maps.Clone(content.data)
	keys.RedactSecretData(redacted)

	annotations := secretAnnotations(key, content.current, content.previous)
	annotations[v1alpha1.AnnotationDataDigest] = keys.DataDigest(redacted)
	renewed.Labels = merged(secret.Labels, secretLabels(key), ownNames(secret, "labels"))
	delete(renewed.Annotations, v1alpha1.AnnotationPreviousKeyID)
	renewed.Annotations = merged(renewed.Annotations, annotations, ownNames(secret, "annotations"))
	return renewed
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

// RedactSecret is what the Secret cache keeps of a Secret of ours: digests instead of
// data, and no copy of what somebody applied with kubectl, which quotes the data in an
// annotation.
func RedactSecret(obj any) (any, error) {
	secret, ok := obj.(*corev1.Secret)
	if !ok {
		return obj, nil
	}
	keys.RedactSecretData(secret.Data)
	secret.ManagedFields = nil
	delete(secret.Annotations, corev1.LastAppliedConfigAnnotation)
	return secret, nil
}
