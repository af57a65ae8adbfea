// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// APIKey asks for one key to the Hexcovery API, in one Secret.
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
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the desired state of the key.
	// +required
	Spec APIKeySpec `json:"spec"`
	// status is written by the manager alone; an admission policy sees to it.
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

// APIKeySpec says what key is wanted and where it goes.
// +kubebuilder:validation:XValidation:rule="!(has(self.expirationTime) && has(self.ttl))",message="spec.expirationTime and spec.ttl are both set: use one of them"
type APIKeySpec struct {
	// organizationRef names the one Organization that the key belongs to. It
	// cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.organizationRef is immutable: a key belongs to one organization; create another APIKey instead",reason=FieldValueForbidden
	OrganizationRef OrganizationReference `json:"organizationRef"`

	// description tells people what the key is for; it has no effect.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches(r'^[^\\p{C}\\p{Zl}\\p{Zp}]*$')",message="spec.description has a line break, or a control or formatting character: write one line of plain text"
	Description string `json:"description,omitempty"`

	// scopes are the parts of the programmatic surface that the key reaches.
	// Default: ingest, query, annotations and heartbeats, as far as the organization has
	// them. A scope that a later release adds has to be named here.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Scopes []Scope `json:"scopes,omitempty"`

	// secret says where the key is written and in what form.
	// +optional
	Secret SecretTemplate `json:"secret,omitzero"`

	// expirationTime is when the key stops working. The auth servers judge it by
	// themselves, to the second. A later time makes the same key work again.
	// Written as 2027-01-31T00:00:00Z: RFC 3339, with T and Z in upper case, and a year
	// from 1970 to 9899.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^(19[7-9]|[2-8][0-9]{2}|9[0-8][0-9])[0-9]-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^[0-9]{4}-02-29T') || int(self.substring(0, 4)) % 4 == 0 && (int(self.substring(0, 4)) % 100 != 0 || int(self.substring(0, 4)) % 400 == 0)",message="spec.expirationTime is a 29th of February in a year that has none"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Schemaless
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`

	// ttl is how long after the creation of the APIKey the key stops working, in place
	// of expirationTime: at least a minute, at most ten years.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('1m') && duration(self) <= duration('87840h')",message="spec.ttl is not between 1m and 87840h (ten years): write it as 720h"
	TTL *metav1.Duration `json:"ttl,omitempty"`

	// rotation says when the key is replaced, and when the one before it ends.
	// +optional
	Rotation Rotation `json:"rotation,omitzero"`

	// revokedKeyIDs are keys of this APIKey that are refused from now on, and for good: one
	// that is taken out of the list stays revoked. If the current key is among them another
	// takes its place, without overlap. An ID that is not in status.versions has no effect.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^[0-9a-f]{12}$`
	RevokedKeyIDs []string `json:"revokedKeyIDs,omitempty"`

	// activeKeyID pins the current key by its ID. As long as it is set no other takes its
	// place, unless it is revoked or too old for the Organization's maxKeyAge. The ID of the
	// key that was replaced last undoes that: while it still works the two change places.
	// Default: the key that was minted last.
	// +optional
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{12}$`
	ActiveKeyID string `json:"activeKeyID,omitempty"`

	// importedKeys are keys issued elsewhere that are to work here, too, until the first
	// rotation retires them, or they are taken out of this list.
	// +optional
	// +listType=map
	// +listMapKey=sha256
	// +kubebuilder:validation:MaxItems=8
	ImportedKeys []ImportedKey `json:"importedKeys,omitempty"`

	// suspend stops the key, until it is false again.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// OrganizationReference names an Organization.
type OrganizationReference struct {
	// name of the Organization.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name"`
}

// SecretTemplate describes the Secret that holds the key.
// +kubebuilder:validation:XValidation:rule="(has(self.data) ? self.data.map(k, size(bytes(k)) + size(bytes(self.data[k]))).sum() : 0) + (has(self.labels) ? self.labels.map(k, size(bytes(k)) + size(bytes(self.labels[k]))).sum() : 0) + (has(self.annotations) ? self.annotations.map(k, size(bytes(k)) + size(bytes(self.annotations[k]))).sum() : 0) <= 65536",message="spec.secret is larger than 64 KiB: shorten its data, labels and annotations, names and values taken together"
type SecretTemplate struct {
	// name of the Secret, in the APIKey's namespace. Default: the APIKey's name.
	// It cannot be changed.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="spec.secret.name is not a valid name for a Secret: use lower case letters, digits, '-' and '.', at most 253 characters"
	Name string `json:"name,omitempty"`

	// labels added to the Secret. Those under auth.hexcovery.io, kubernetes.io/ and
	// k8s.io/ are reserved; app.kubernetes.io/ and the like are yours.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && !format.qualifiedName().validate(k).hasValue())",message="spec.secret.labels has a name that is not valid for a label: use [prefix/]name"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^(([^/]*[.])?auth[.]hexcovery[.]io|kubernetes[.]io|kubectl[.]kubernetes[.]io|k8s[.]io)/'))",message="spec.secret.labels has a reserved name: names under auth.hexcovery.io, kubernetes.io, kubectl.kubernetes.io and k8s.io cannot be set; app.kubernetes.io/ can"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.labelValue().validate(self[k]).hasValue())",message="spec.secret.labels has a value that is not valid for a label: at most 63 letters, digits, '-', '_' and '.'"
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations added to the Secret. Those under auth.hexcovery.io,
	// kubernetes.io/ and k8s.io/ are reserved.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && !format.qualifiedName().validate(k).hasValue())",message="spec.secret.annotations has a name that is not valid for an annotation: use [prefix/]name"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^(([^/]*[.])?auth[.]hexcovery[.]io|kubernetes[.]io|kubectl[.]kubernetes[.]io|k8s[.]io)/'))",message="spec.secret.annotations has a reserved name: names under auth.hexcovery.io, kubernetes.io, kubectl.kubernetes.io and k8s.io cannot be set; app.kubernetes.io/ can"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`

	// data are the entries of the Secret beside api-key, which is always there.
	// $(API_KEY), $(API_KEY_ID) and $(ORGANIZATION_ID) stand for their values,
	// $$(API_KEY) for the text itself.
	// Default: HEXCOVERY_API_KEY: $(API_KEY) and
	// OTEL_EXPORTER_OTLP_HEADERS: x-api-key=$(API_KEY).
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 253 && k.matches('^[-._a-zA-Z0-9]+$') && k != '.' && !k.startsWith('..'))",message="spec.secret.data has a name that a Secret cannot hold: use letters, digits, '-', '_' and '.', and no '..' at the beginning"
	// +kubebuilder:validation:XValidation:rule="!('api-key' in self)",message="spec.secret.data cannot set api-key: it always holds the key itself"
	Data map[string]DataTemplate `json:"data,omitempty"`
}

// LabelValue is the value of a label.
// +kubebuilder:validation:MaxLength=63
type LabelValue string

// AnnotationValue is the value of an annotation.
// +kubebuilder:validation:MaxLength=4096
type AnnotationValue string

// DataTemplate is the text of one entry of the Secret, with $(API_KEY) and the
// other variables in it.
// +kubebuilder:validation:MaxLength=16384
type DataTemplate string

// APIKeyStatus is what the manager has done and observed.
type APIKeyStatus struct {
	// observedGeneration is the generation of the spec that conditions describe.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// appliedGeneration is the latest generation of the spec that every auth server is known
	// to apply. It is 0 from when the key is stopped, or works again, until each has applied
	// that.
	// +optional
	AppliedGeneration int64 `json:"appliedGeneration,omitempty"`

	// acceptance says whether auth servers may accept the keys in versions. Accepted is
	// necessary and not sufficient: they also judge deletion, suspension, expiry and
	// permission by themselves. A value that they do not know refuses.
	// +optional
	Acceptance Acceptance `json:"acceptance,omitempty"`

	// uid is that of the APIKey that this status was written for. One that was copied
	// to another APIKey, as from a backup, counts for nothing: its keys are not accepted.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=128
	UID types.UID `json:"uid,omitempty"`

	// organizationID is the id of the organization that the key was minted for.
	// The key is not accepted for any other, even if an Organization of the same
	// name is made anew with another id.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	OrganizationID string `json:"organizationID,omitempty"`

	// keyID names the key that the Secret holds: the first 12 hexadecimal digits
	// of its SHA-256. It is what logs, audit and people use.
	// +optional
	// +kubebuilder:validation:MaxLength=12
	KeyID string `json:"keyID,omitempty"`

	// secretRef names the Secret that holds the key.
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`

	// scopes are those that the key has: spec.scopes or the default, as far as the
	// organization has them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4
	Scopes []Scope `json:"scopes,omitempty"`

	// expirationTime is when the key stops working: spec.expirationTime, or what spec.ttl gives.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`

	// lastUsedTime is when a key of this APIKey was last used, as far as was gathered.
	// It is coarse: the manager writes it once an hour at most, by default.
	// +optional
	LastUsedTime *metav1.Time `json:"lastUsedTime,omitempty"`

	// nextRotationTime is when the key is going to be replaced.
	// +optional
	NextRotationTime *metav1.Time `json:"nextRotationTime,omitempty"`

	// versions are the hashes of this APIKey's keys: Pending, Active and Retiring ones
	// are those that auth servers accept.
	// +optional
	// +listType=map
	// +listMapKey=sha256
	// +kubebuilder:validation:MaxItems=16
	Versions []KeyVersion `json:"versions,omitempty"`

	// imports are the hashes of spec.importedKeys that were taken up. One that has ended since
	// does not come back, unless it is taken out of spec.importedKeys first.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:Pattern=`^[0-9a-f]{64}$`
	Imports []string `json:"imports,omitempty"`

	// refusedImports are the hashes of spec.importedKeys that were refused because each was
	// another APIKey's. One of them is not taken up, also when nobody has it any more,
	// unless it is taken out of spec.importedKeys first.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:Pattern=`^[0-9a-f]{64}$`
	RefusedImports []string `json:"refusedImports,omitempty"`

	// drift is how often the key was lost because its Secret was touched. The time until
	// another is minted doubles with each.
	// +optional
	Drift *DriftStatus `json:"drift,omitempty"`

	// conditions are for people and tools; no program of the operator decides by them. Ready
	// says whether the spec is realized, Serving whether the key works now. Reconciling and
	// Stalled are there while they hold.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
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

// DriftStatus is how often a key was lost because its Secret was touched: deleted, given
// another api-key, or replaced by somebody else's.
type DriftStatus struct {
	// count of keys that were lost, since the Secret was last left alone for 20 minutes.
	// +required
	// +kubebuilder:validation:Minimum=1
	Count int32 `json:"count"`
	// lastTime is when the last of them was lost.
	// +required
	LastTime metav1.Time `json:"lastTime"`
	// lostKeyID is the key that was lost last, until another is minted in its place.
	// +optional
	// +kubebuilder:validation:MaxLength=12
	LostKeyID string `json:"lostKeyID,omitempty"`
}

// SecretReference names a Secret in the APIKey's namespace.
type SecretReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
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
	if !k.CreationTimestamp.Equal(&other.CreationTimestamp) {
		return k.CreationTimestamp.Before(&other.CreationTimestamp)
	}
	return k.UID < other.UID
}
