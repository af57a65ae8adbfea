// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// APIKey asks for one key to the Hexcovery API. The manager mints the key and writes it into
// a Secret in the APIKey's namespace. Deleting the APIKey revokes the key: when the deletion
// is complete, no auth server accepts it.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ak,categories=hexcovery
// +kubebuilder:printcolumn:name="Org",type=string,JSONPath=`.spec.organizationRef.name`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Serving")].reason`
// +kubebuilder:printcolumn:name="Key ID",type=string,JSONPath=`.status.keyID`
// +kubebuilder:printcolumn:name="Last Used",type=date,JSONPath=`.status.lastUsedTime`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.expirationTime`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name is longer than 63 characters: it becomes a label of the Secret; choose a shorter name"
// +kubebuilder:validation:XValidation:rule="(has(self.spec.secret) && has(self.spec.secret.name) ? self.spec.secret.name : self.metadata.name) == (has(oldSelf.spec.secret) && has(oldSelf.spec.secret.name) ? oldSelf.spec.secret.name : oldSelf.metadata.name)",message="spec.secret.name is immutable: what mounts the Secret would keep a key that nothing renews; create another APIKey instead",fieldPath=".spec.secret.name",reason=FieldValueForbidden
type APIKey struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard object metadata. The name has at most 63 characters.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the key that is wanted, and the Secret that it is written into.
	// +required
	Spec APIKeySpec `json:"spec,omitzero"`
	// status is what the manager has done and observed. Only the manager can write it.
	// +optional
	Status APIKeyStatus `json:"status,omitzero"`

	// Refusal says why no program accepts a key of this object, whatever its spec and
	// status say: a part of it cannot be decoded, or it is too large. It is set where the
	// object is decoded, empty for any other, and never stored.
	Refusal string `json:"-"`
	// Trimmed says that a cache has left out spec.secret, but for its name. It is never
	// stored.
	Trimmed bool `json:"-"`
}

// APIKeySpec is the key that is wanted, and the Secret that it is written into.
// +kubebuilder:validation:XValidation:rule="!(has(self.expirationTime) && has(self.ttl))",message="spec.expirationTime and spec.ttl are both set: use one of them"
type APIKeySpec struct {
	// organizationRef names the Organization that the key belongs to. What is sent or queried
	// with the key lands in that organization. It is immutable.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.organizationRef is immutable: a key belongs to one organization; create another APIKey instead",reason=FieldValueForbidden
	OrganizationRef OrganizationReference `json:"organizationRef,omitzero"`

	// description tells people what the key is for: one line of plain text, at most 1024
	// characters, such as "Agents on the production nodes". It has no effect.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches(r'^[^\\p{C}\\p{Zl}\\p{Zp}]*$')",message="spec.description has a line break, or a control or formatting character: write one line of plain text"
	Description string `json:"description,omitempty"`

	// scopes are what the key can be used for: ingest (send metrics, logs and traces over
	// OTLP), query (POST /api/v1/dsl), annotations (/api/v1/annotations) and heartbeats (of
	// cron jobs). If one is listed that the Organization does not have, the key is refused and
	// the condition Permitted is False.
	// Default: ingest, query, annotations and heartbeats, as far as the Organization has them.
	// A scope that a later release adds has to be listed here.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Scopes []Scope `json:"scopes,omitempty"`

	// secret describes the Secret that the key is written into.
	// +optional
	Secret SecretTemplate `json:"secret,omitzero"`

	// expirationTime is when the key expires: from that second on, auth servers refuse it.
	// A later time makes the same key work again. Write it as 2027-01-31T00:00:00Z: RFC 3339,
	// T and Z in upper case, a year from 1970 to 9899. Do not set ttl beside it.
	// Default: the key does not expire.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^(19[7-9]|[2-8][0-9]{2}|9[0-8][0-9])[0-9]-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^[0-9]{4}-02-29T') || int(self.substring(0, 4)) % 4 == 0 && (int(self.substring(0, 4)) % 100 != 0 || int(self.substring(0, 4)) % 400 == 0)",message="spec.expirationTime is a 29th of February in a year that has none: use the 28th, or the 1st of March"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Schemaless
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`

	// ttl is how long after the creation of the APIKey the key expires: from 1m to 87840h (ten
	// years), written as 720h or 1h30m. A longer ttl makes the same key work again. Do not set
	// expirationTime beside it.
	// Default: the key does not expire.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('1m') && duration(self) <= duration('87840h')",message="spec.ttl is not between 1m and 87840h (ten years): write it as 720h"
	TTL *metav1.Duration `json:"ttl,omitempty"`

	// rotation says when a new key replaces the current one, and for how long the replaced
	// key still works.
	// Default: the key is replaced only when the Organization's maxKeyAge requires it.
	// +optional
	Rotation Rotation `json:"rotation,omitzero"`

	// revokedKeyIDs are the IDs of keys of this APIKey that are revoked. Auth servers refuse
	// them at once and for good: a key whose ID is removed from the list stays revoked. If the
	// current key is listed, a new key replaces it without overlap. IDs are in status.keyID
	// and status.versions, such as 0123456789ab; any other ID has no effect, and Ready says so. At most 64.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^[0-9a-f]{12}$`
	RevokedKeyIDs []string `json:"revokedKeyIDs,omitempty"`

	// activeKeyID pins the current key by its ID, such as 0123456789ab. While it is set, the
	// key is not rotated; it is still replaced when it is revoked, or when the Organization's
	// maxKeyAge requires it. To undo a rotation, set the ID of the key that was replaced last:
	// while that key works, it becomes the current key again. Any other ID changes nothing, and
	// Ready is False with reason ActiveKeyUnavailable. When activeKeyID is removed, the current
	// key stays until the next rotation is due.
	// Default: the key that was minted last is the current key.
	// +optional
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{12}$`
	ActiveKeyID string `json:"activeKeyID,omitempty"`

	// importedKeys are keys that were issued elsewhere and work here too, if the Organization's
	// spec.imports permits it. Each works until the next rotation retires it, or until it is
	// removed from this list. They are in no Secret. At most 8.
	// +optional
	// +listType=map
	// +listMapKey=sha256
	// +kubebuilder:validation:MaxItems=8
	ImportedKeys []ImportedKey `json:"importedKeys,omitempty"`

	// suspend stops all keys of this APIKey while it is true: auth servers refuse them. When it
	// is false again, the same keys work again.
	// Default: false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// OrganizationReference names an Organization.
type OrganizationReference struct {
	// name is the metadata.name of the Organization.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name,omitempty"`
}

// SecretTemplate describes the Secret that holds the key. Names and values of its labels,
// annotations and data have at most 64 KiB together. Whoever sets or changes one of these
// needs the right to create Secrets in the namespace.
// +kubebuilder:validation:XValidation:rule="(has(self.data) ? self.data.map(k, size(bytes(k)) + size(bytes(self.data[k]))).sum() : 0) + (has(self.labels) ? self.labels.map(k, size(bytes(k)) + size(bytes(self.labels[k]))).sum() : 0) + (has(self.annotations) ? self.annotations.map(k, size(bytes(k)) + size(bytes(self.annotations[k]))).sum() : 0) <= 65536",message="spec.secret is larger than 64 KiB: shorten its data, labels and annotations, names and values taken together"
type SecretTemplate struct {
	// name is the name of the Secret, in the APIKey's namespace. If a Secret of that name exists
	// and is not owned by the APIKey, it is left alone, and the condition Published is False
	// with reason SecretConflict. It is immutable, and has at most 244 characters: with -previous
	// behind it, it is the name of the Secret that keeps the previous key.
	// Default: the APIKey's name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=244
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="spec.secret.name is not a valid name for a Secret: use lower case letters, digits, '-' and '.', at most 244 characters"
	Name string `json:"name,omitempty"`

	// labels are added to the Secret, at most 32. Names under auth.hexcovery.io, kubernetes.io,
	// kubectl.kubernetes.io and k8s.io are reserved; app.kubernetes.io/ can be used.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && !format.qualifiedName().validate(k).hasValue())",message="spec.secret.labels has a name that is not valid for a label: use [prefix/]name"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^(([^/]*[.])?auth[.]hexcovery[.]io|kubernetes[.]io|kubectl[.]kubernetes[.]io|k8s[.]io)/'))",message="spec.secret.labels has a reserved name: names under auth.hexcovery.io, kubernetes.io, kubectl.kubernetes.io and k8s.io cannot be set; app.kubernetes.io/ can"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.labelValue().validate(self[k]).hasValue())",message="spec.secret.labels has a value that is not valid for a label: at most 63 letters, digits, '-', '_' and '.'"
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations are added to the Secret, at most 32 with at most 4096 characters each. The
	// names that are reserved for labels are reserved here too.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && !format.qualifiedName().validate(k).hasValue())",message="spec.secret.annotations has a name that is not valid for an annotation: use [prefix/]name"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^(([^/]*[.])?auth[.]hexcovery[.]io|kubernetes[.]io|kubectl[.]kubernetes[.]io|k8s[.]io)/'))",message="spec.secret.annotations has a reserved name: names under auth.hexcovery.io, kubernetes.io, kubectl.kubernetes.io and k8s.io cannot be set; app.kubernetes.io/ can"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`

	// data are the entries of the Secret beside api-key, which always holds the key itself: the
	// name of each, and a template of its text. $(API_KEY), $(API_KEY_ID) and $(ORGANIZATION_ID)
	// in a template are replaced by their values; $$ is a dollar sign, so $$(API_KEY) is the text
	// $(API_KEY). At most 32 entries, with at most 16384 characters each.
	// Default: HEXCOVERY_API_KEY with $(API_KEY), and OTEL_EXPORTER_OTLP_HEADERS with
	// x-api-key=$(API_KEY), which suit envFrom.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 253 && k.matches('^[-._a-zA-Z0-9]+$') && k != '.' && !k.startsWith('..'))",message="spec.secret.data has a name that a Secret cannot hold: use letters, digits, '-', '_' and '.', and no '..' at the beginning"
	// +kubebuilder:validation:XValidation:rule="!('api-key' in self)",message="spec.secret.data cannot set api-key: it always holds the key itself"
	Data map[string]DataTemplate `json:"data,omitempty"`
}

// LabelValue is the value of a label: at most 63 letters, digits, '-', '_' and '.'.
// +kubebuilder:validation:MaxLength=63
type LabelValue string

// AnnotationValue is the value of an annotation: at most 4096 characters.
// +kubebuilder:validation:MaxLength=4096
type AnnotationValue string

// DataTemplate is a template of the text of one entry of the Secret: at most 16384
// characters, among them $(API_KEY), $(API_KEY_ID) and $(ORGANIZATION_ID).
// +kubebuilder:validation:MaxLength=16384
type DataTemplate string

// APIKeyStatus is what the manager has done and observed.
type APIKeyStatus struct {
	// conditions are for people and tools; no program of the operator decides by them. Ready
	// is whether the spec is realized, Serving whether the key works now. Permitted, Registered
	// and Published say how far the key has come, Rotated and Imported what becomes of other
	// keys. ExpiringSoon, Reconciling and Stalled are present only while they are True.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the metadata.generation that the conditions describe.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// appliedGeneration is the latest metadata.generation whose spec all auth servers are known
	// to apply. It is absent from when acceptance changes until all auth servers apply that.
	// +optional
	// +kubebuilder:validation:Minimum=1
	AppliedGeneration int64 `json:"appliedGeneration,omitempty"`

	// acceptance says whether auth servers may accept the keys in versions: Accepted; Withdrawn,
	// because the APIKey is suspended or not permitted; or Expired. Accepted is necessary and
	// not sufficient: auth servers also judge deletion, suspension, expiry and permission by
	// themselves. An auth server refuses a value that it does not know.
	// +optional
	Acceptance Acceptance `json:"acceptance,omitempty"`

	// uid is the metadata.uid of the APIKey that this status was written for. In an APIKey with
	// another uid, such as one restored from a backup, the status is ignored, and none of its
	// keys is accepted.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	UID types.UID `json:"uid,omitempty"`

	// restoredFrom is the metadata.uid of the APIKey that this status was written for, if a
	// backup brought it here. It is removed when a key is minted.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	RestoredFrom types.UID `json:"restoredFrom,omitempty"`

	// organizationID is the id of the organization that the key was minted for. If an
	// Organization of the same name is created again with another id, the key is refused.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=150
	OrganizationID string `json:"organizationID,omitempty"`

	// keyID is the ID of the current key, which the Secret holds: the first 12 hexadecimal
	// digits of the key's SHA-256, such as 0123456789ab. Logs, audit and people name keys by it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=12
	KeyID string `json:"keyID,omitempty"`

	// secretRef names the Secret that holds the current key.
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`

	// scopes are the scopes of the key: spec.scopes or its default, without those that the
	// Organization does not have.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4
	Scopes []Scope `json:"scopes,omitempty"`

	// expirationTime is when the key expires: spec.expirationTime, or the creation of the APIKey
	// and spec.ttl. It is absent if the key does not expire.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`

	// lastUsedTime is when a request last bore a key of this APIKey, as far as the manager has
	// learned of it from auth servers. It is coarse: by default it is written once an hour at
	// most.
	// +optional
	LastUsedTime *metav1.Time `json:"lastUsedTime,omitempty"`

	// nextRotationTime is when a new key is going to replace the current one. It is absent if
	// none is due.
	// +optional
	NextRotationTime *metav1.Time `json:"nextRotationTime,omitempty"`

	// versions are the keys of this APIKey, each by its SHA-256. Those that are Pending, Active
	// or Retiring may be accepted, as acceptance says; those that are Revoked are refused. At
	// most 16.
	// +optional
	// +listType=map
	// +listMapKey=sha256
	// +kubebuilder:validation:MaxItems=16
	Versions []KeyVersion `json:"versions,omitempty"`

	// imports are the SHA-256 of those spec.importedKeys that were imported, in hexadecimal. A
	// key that has been revoked since is not imported again, unless it is removed from
	// spec.importedKeys first.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:Pattern=`^[0-9a-f]{64}$`
	Imports []string `json:"imports,omitempty"`

	// refusedImports are the SHA-256 of those spec.importedKeys that were not imported, because
	// each was a key of another APIKey. None is imported later either, unless it is removed from
	// spec.importedKeys first.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:Pattern=`^[0-9a-f]{64}$`
	RefusedImports []string `json:"refusedImports,omitempty"`

	// drift counts the keys that were lost because somebody deleted or edited the Secret. With
	// each the manager waits longer before it mints another: 1s, 2s, 4s, up to 10m.
	// +optional
	Drift *DriftStatus `json:"drift,omitempty"`
}

// Acceptance says whether auth servers may accept an APIKey's keys.
// +kubebuilder:validation:Enum=Accepted;Withdrawn;Expired
type Acceptance string

const (
	// AcceptanceAccepted lets auth servers accept the keys, as far as they find nothing
	// against it.
	AcceptanceAccepted Acceptance = "Accepted"
	// AcceptanceWithdrawn refuses every key: the APIKey is suspended, or not permitted.
	AcceptanceWithdrawn Acceptance = "Withdrawn"
	// AcceptanceExpired refuses every key, and clients are told why.
	AcceptanceExpired Acceptance = "Expired"
)

// DriftStatus counts the keys that were lost because somebody deleted the Secret, edited its
// api-key, or put another Secret in its place.
type DriftStatus struct {
	// count is the number of keys that were lost. It begins again at 1 when the Secret has been
	// left alone for 20 minutes.
	// +required
	// +kubebuilder:validation:Minimum=1
	Count int32 `json:"count,omitempty"`
	// lastTime is when the last of them was lost.
	// +required
	LastTime metav1.Time `json:"lastTime"`
	// lostKeyID is the ID of the key that was lost last. It is absent when another has been
	// minted.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=12
	LostKeyID string `json:"lostKeyID,omitempty"`
}

// SecretReference names a Secret in the APIKey's namespace.
type SecretReference struct {
	// name is the metadata.name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// APIKeyList is a list of APIKeys.
// +kubebuilder:object:root=true
type APIKeyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []APIKey `json:"items"`
}

// SecretName is spec.secret.name, or metadata.name where that is empty.
func (k *APIKey) SecretName() string {
	if k.Spec.Secret.Name != "" {
		return k.Spec.Secret.Name
	}
	return k.Name
}

// Expiry returns when the key stops working, and false if it never does.
func (k *APIKey) Expiry() (metav1.Time, bool) {
	switch {
	case k.Spec.ExpirationTime != nil:
		return *k.Spec.ExpirationTime, true
	case k.Spec.TTL != nil:
		return metav1.NewTime(k.CreationTimestamp.Add(k.Spec.TTL.Duration)), true
	}
	return metav1.Time{}, false
}

// StatusIsOwn reports whether the status was written for this very APIKey, and not for
// one that it was restored or copied from.
func (k *APIKey) StatusIsOwn() bool { return k.Status.UID == k.UID }

// EffectiveScopes is spec.scopes, or the default where that is empty: what the key reaches
// as far as its organization does.
func (k *APIKey) EffectiveScopes() []Scope {
	if len(k.Spec.Scopes) > 0 {
		return k.Spec.Scopes
	}
	return DefaultScopes()
}

// OlderThan reports whether k came before other: of two APIKeys that have one hash the
// older keeps it. The UID decides between those of the same second, so that everybody
// decides alike.
func (k *APIKey) OlderThan(other *APIKey) bool {
	return olderThan(&k.ObjectMeta, &other.ObjectMeta)
}

func olderThan(a, b *metav1.ObjectMeta) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.UID < b.UID
}
