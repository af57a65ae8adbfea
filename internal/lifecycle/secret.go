// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

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

// secretState is what is in the place of one of an APIKey's Secrets.
type secretState int

const (
	// secretAbsent: there is no Secret of that name.
	secretAbsent secretState = iota
	// secretForeign: there is one that the APIKey does not own, or one of another type
	// than Opaque: other controllers fill those.
	secretForeign
	// secretLeftover: there is one that the manager wrote for an APIKey of this name that
	// is no more, as a backup brings it back.
	secretLeftover
	// secretStale: it is the APIKey's own, and its api-key is not that of an accepted
	// version: it was edited, or is one that was revoked.
	secretStale
	// secretOutdated: its api-key is that of an accepted version, but in the form of an
	// earlier spec.secret, with another entry edited, or without one of the operator's marks.
	secretOutdated
	// secretCurrent: it is as it is to be for the key that it holds.
	secretCurrent
)

// holding is what a Secret holds.
type holding struct {
	state secretState
	// id is the accepted version whose key it is; "" for none.
	id string
}

// inspect finds out what is in the place of the Secret.
//
// While a new key waits for the auth servers nothing is asked that the creation of its
// Secret is going to find out: it fails if there is one.
func (d *decision) inspect() bool {
	v := pending(&d.next)
	awaits := v != nil && active(&d.next) == nil && d.Minted == v.ID
	if d.main.state != secretCurrent && !d.Secret.Live && (!awaits || d.Secret.Secret != nil) {
		return d.askSecrets()
	}
	if d.main.state == secretForeign {
		d.publication = finding{v1alpha1.ReasonSecretConflict, d.conflict()}
		// The cache does not see that Secret, so nothing will say when it goes.
		d.again(recheckConflict)
	}
	return true
}

// askSecrets asks for the Secrets, where that has not been answered. It reports false.
func (d *decision) askSecrets() bool {
	d.plan.Ask.Secrets = true
	return false
}

// holding judges a Secret whose data was redacted to digests.
func (d *decision) holding(place *Place, previous bool) holding {
	secret := place.Secret
	switch {
	case secret == nil:
		return holding{state: secretAbsent}
	case !metav1.IsControlledBy(secret, d.Key) && Leftover(secret, d.Key):
		return holding{state: secretLeftover}
	case !metav1.IsControlledBy(secret, d.Key), secret.Type != corev1.SecretTypeOpaque:
		// Whoever may plant a Secret may name the APIKey as its owner. What fills one of
		// another type, as the token controller does, would do so again after each key.
		return holding{state: secretForeign}
	}
	v := HeldVersion(secret, &d.next)
	edited := secret.Annotations[v1alpha1.AnnotationDataDigest] != keys.DataDigest(OwnData(secret.Data, d.Key, previous))
	switch {
	case v == nil, edited && v.State == v1alpha1.VersionRetiring && !previous:
		return holding{state: secretStale}
	case edited, !hasEntries(secret.Labels, SecretLabels(d.Key)), !hasEntries(secret.Annotations, SecretAnnotations(d.Key, v.ID, previous)):
		return holding{secretOutdated, v.ID}
	}
	return holding{secretCurrent, v.ID}
}

// HeldVersion returns the accepted version that a redacted Secret holds the key of, or nil.
func HeldVersion(secret *corev1.Secret, s *v1alpha1.APIKeyStatus) *v1alpha1.KeyVersion {
	digest := hex.EncodeToString(secret.Data[v1alpha1.SecretKeyAPIKey])
	return last(s, func(v *version) bool { return v.SHA256 == digest && v.State.Accepted() && !v.Imported() })
}

// SecretLabels are the labels that a Secret is to have, at least.
func SecretLabels(key *v1alpha1.APIKey) map[string]string {
	labels := texts(key.Spec.Secret.Labels)
	labels[v1alpha1.LabelAPIKey] = key.Name
	return labels
}

// SecretAnnotations are the annotations that a Secret which holds the key of that ID is to
// have, at least, but for the digest of its data. The previous one has none of spec.secret's:
// they may have some controller copy it.
func SecretAnnotations(key *v1alpha1.APIKey, id string, previous bool) map[string]string {
	if previous {
		return map[string]string{v1alpha1.AnnotationKeyID: id}
	}
	annotations := texts(key.Spec.Secret.Annotations)
	annotations[v1alpha1.AnnotationKeyID] = id
	annotations[v1alpha1.AnnotationTemplateDigest] = formDigest(key)
	return annotations
}

// formDigest changes with everything that spec.secret asks for, so that what it asks for no
// longer is noticed, too.
func formDigest(key *v1alpha1.APIKey) string {
	form := map[string]string{}
	for kind, entries := range map[string]map[string]string{
		"data ": Templates(key), "label ": texts(key.Spec.Secret.Labels), "annotation ": texts(key.Spec.Secret.Annotations),
	} {
		for name, text := range entries {
			form[kind+name] = text
		}
	}
	return keys.TemplateDigest(form, Variables(key))
}

// texts is a map of spec.secret with plain values.
func texts[Text ~string](entries map[string]Text) map[string]string {
	plain := make(map[string]string, len(entries)+3)
	for name, text := range entries {
		plain[name] = string(text)
	}
	return plain
}

// Templates are the entries of the Secret that spec asks for.
func Templates(key *v1alpha1.APIKey) map[string]string { return texts(key.Spec.Secret.Data) }

// Variables are what templates may use beside the key itself.
func Variables(key *v1alpha1.APIKey) keys.Variables {
	return keys.Variables{OrganizationID: key.Status.OrganizationID}
}

// OwnData is what of a Secret's data the manager writes. Entries that others add are
// theirs, until the Secret is written the next time.
func OwnData(data map[string][]byte, key *v1alpha1.APIKey, previous bool) map[string][]byte {
	own := maps.Clone(data)
	names := []string{v1alpha1.SecretKeyAPIKey}
	if !previous {
		names = keys.EntryNames(Templates(key))
	}
	maps.DeleteFunc(own, func(name string, _ []byte) bool { return !slices.Contains(names, name) })
	return own
}

func hasEntries(have, want map[string]string) bool {
	for name, value := range want {
		if got, ok := have[name]; !ok || got != value {
			return false
		}
	}
	return true
}

// Leftover reports whether a Secret, whose data was redacted to digests, is one that the
// manager wrote for an APIKey of key's name, and that nobody has changed or owns. As
// there is but one APIKey of a name, any other UID than key's belongs to none that is.
func Leftover(secret *corev1.Secret, key *v1alpha1.APIKey) bool {
	entry, err := keys.ParseDigest(hex.EncodeToString(secret.Data[v1alpha1.SecretKeyAPIKey]))
	switch {
	case err != nil,
		!secret.DeletionTimestamp.IsZero(),
		// The manager writes none of these, and cannot overwrite them.
		ptr.Deref(secret.Immutable, false),
		secret.Type != corev1.SecretTypeOpaque,
		secret.Labels[v1alpha1.LabelAPIKey] != key.Name,
		secret.Annotations[v1alpha1.AnnotationKeyID] != entry.KeyID(),
		secret.Annotations[v1alpha1.AnnotationDataDigest] != keys.DataDigest(secret.Data):
		return false
	}
	owners := secret.OwnerReferences
	return len(owners) == 0 || len(owners) == 1 && formerSelf(&owners[0], key)
}

// formerSelf reports whether owner is an APIKey of key's name that was there before it.
func formerSelf(owner *metav1.OwnerReference, key *v1alpha1.APIKey) bool {
	group, err := schema.ParseGroupVersion(owner.APIVersion)
	return err == nil && group.Group == v1alpha1.GroupVersion.Group && owner.Kind == "APIKey" &&
		owner.Name == key.Name && owner.UID != key.UID
}

// conflict says what to do about a Secret that is in the way.
func (d *decision) conflict() string {
	secret := d.Secret.Secret
	switch {
	case metav1.IsControlledBy(secret, d.Key):
		return fmt.Sprintf("Secret %.100q is not of type Opaque. Delete it, and it is created anew.", secret.Name)
	case secret.Labels[v1alpha1.LabelAPIKey] == d.Key.Name:
		return fmt.Sprintf("Secret %.100q has the label of this APIKey, but something else owns or has changed it. "+
			"Delete it, and it is created anew.", secret.Name)
	}
	return fmt.Sprintf("Secret %.100q exists and is not owned by this APIKey. Delete it, or create another APIKey.", secret.Name)
}

// form changes with whatever makes the Secret another, but for what others do.
func (d *decision) form(id string) string {
	return fmt.Sprintf("%d %s %s", d.Key.Generation, d.next.OrganizationID, id)
}
