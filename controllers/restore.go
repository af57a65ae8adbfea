// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"encoding/hex"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// What a backup brings back was true of an APIKey that is no more: a restored one is
// another, with a UID of its own, and whether the key was revoked meanwhile nobody
// knows. So no key is ever taken from a backup, and another is minted:
//
//	the status     is read as empty unless it was written for this UID. Auth servers
//	               judge likewise, whoever wrote it.
//	the Secret     is overwritten, when the new key is acknowledged, if it is as the
//	               manager wrote it for an APIKey of this name, and nobody owns it now.
//
// Whoever plants a Secret of that kind gains nothing. What is in it is never registered.
// What bears the new key in its place has nothing of it but name and UID: a label or an
// annotation that has some controller copy the Secret elsewhere goes, as does another
// owner. And what is overwritten is a key of the manager's own that no auth server
// accepts: it belonged to an APIKey of this name, and that is this one.

// disclaim has a status that was written for another APIKey count for nothing.
func (p *pass) disclaim() {
	if status := &p.key.Status; !p.key.StatusIsOwn() {
		p.copied = len(status.Versions) > 0
		p.key.Status = v1alpha1.APIKeyStatus{}
	}
}

// broughtBack says what a backup has brought back of an APIKey that has no version, or
// "".
func (p *pass) broughtBack() string {
	switch {
	case p.secret == secretLeftover:
		return fmt.Sprintf("Secret %s with key %s is from a backup, or was left by an earlier APIKey of this name",
			p.live.Name, p.live.Annotations[v1alpha1.AnnotationKeyID])
	case p.copied:
		return "the status was copied from another APIKey, as from a backup"
	}
	return ""
}

// leftover reports whether a Secret, whose data was redacted to digests, is one that the
// manager wrote for an APIKey of key's name, and that nobody has changed or owns. As
// there is but one APIKey of a name, any other UID than key's belongs to none that is.
func leftover(secret *corev1.Secret, key *v1alpha1.APIKey) bool {
	entry, err := keys.ParseDigest(hex.EncodeToString(secret.Data[v1alpha1.SecretKeyAPIKey]))
	switch {
	case err != nil,
		!secret.DeletionTimestamp.IsZero(),
		// The manager writes none of these, and cannot overwrite them.
		secret.Immutable != nil && *secret.Immutable,
		secret.Type != corev1.SecretTypeOpaque,
		secret.Labels[v1alpha1.LabelAPIKey] != key.Name,
		secret.Annotations[v1alpha1.AnnotationKeyID] != entry.KeyID(),
		secret.Annotations[v1alpha1.AnnotationDataDigest] != keys.DataDigest(secret.Data):
		return false
	}
	switch owners := secret.OwnerReferences; len(owners) {
	case 0:
		return true
	case 1:
		return formerSelf(&owners[0], key)
	}
	return false
}

// formerSelf reports whether owner is an APIKey of key's name that was there before it.
func formerSelf(owner *metav1.OwnerReference, key *v1alpha1.APIKey) bool {
	group, err := schema.ParseGroupVersion(owner.APIVersion)
	return err == nil && group.Group == v1alpha1.GroupVersion.Group && owner.Kind == "APIKey" && owner.Name == key.Name && owner.UID != key.UID
}

// takenOver returns secret in the place of left: nothing of that stays but its identity,
// and the write is conditional on it.
func takenOver(left, secret *corev1.Secret) *corev1.Secret {
	secret.UID, secret.ResourceVersion = left.UID, left.ResourceVersion
	return secret
}

// conflict says what to do about a Secret that is in the way.
func conflict(secret *corev1.Secret, key *v1alpha1.APIKey) string {
	if metav1.IsControlledBy(secret, key) && secret.Type != corev1.SecretTypeOpaque {
		return fmt.Sprintf("Secret %.100q is not of type Opaque, and is left as it is. Delete it, and it is made anew.", secret.Name)
	}
	if secret.Labels[v1alpha1.LabelAPIKey] == key.Name {
		return fmt.Sprintf("Secret %q bears the label of this APIKey, but it is not as the manager wrote it, or something else owns it; it is left as it is: delete it, and it is made anew", secret.Name)
	}
	return fmt.Sprintf("there is a Secret %q that this APIKey does not own, and it is left as it is: delete or rename it, or set spec.secret.name in a new APIKey", secret.Name)
}
