// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Organization is a tenant of the Hexcovery API. A platform admin says in it which namespaces
// may have keys for it, and what those keys may reach at most.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=hxorg,categories=hexcovery
// +kubebuilder:printcolumn:name="ID",type=string,JSONPath=`.status.id`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="(has(self.spec.id) ? self.spec.id : self.metadata.name) == (has(oldSelf.spec.id) ? oldSelf.spec.id : oldSelf.metadata.name)",message="spec.id is immutable: data is stored under it; create another Organization instead",fieldPath=".spec.id",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.spec.id) || size(self.metadata.name) <= 150",message="metadata.name is longer than the 150 characters of an id: set spec.id",fieldPath=".spec.id"
type Organization struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what a platform admin decides about the organization.
	// +required
	Spec OrganizationSpec `json:"spec"`
	// status is what the manager has done and observed. Only the manager can write it.
	// +optional
	Status OrganizationStatus `json:"status,omitzero"`

	// Refusal says why no program applies this object: see APIKey.Refusal.
	Refusal string `json:"-"`
}

// OrganizationSpec is what a platform admin decides about an organization.
type OrganizationSpec struct {
	// id is what upstreams know the organization by: the value of the header X-Scope-OrgID. It
	// has 1 to 150 letters, digits, '.', '_' and '-', and does not begin with '.', such as
	// acme-prod. It is immutable. Of two Organizations that have one id the younger is refused.
	// Default: metadata.name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=150
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`
	ID string `json:"id,omitempty"`

	// displayName is what people call the organization: one line of plain text, at most 256
	// characters, such as "Acme, production". It has no effect.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches(r'^[^\\p{C}\\p{Zl}\\p{Zp}]*$')",message="spec.displayName has a line break, or a control or formatting character: write one line of plain text"
	DisplayName string `json:"displayName,omitempty"`

	// namespaces says which namespaces may have keys for this organization. A namespace that is
	// no longer permitted has its keys refused; permit it again, and the same keys work again.
	// Default: none.
	// +optional
	Namespaces NamespacePolicy `json:"namespaces,omitzero"`

	// scopes are the most that a key of this organization can be used for: ingest, query,
	// annotations and heartbeats. A key that asks for another is refused.
	// Default: all scopes.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Scopes []Scope `json:"scopes,omitempty"`

	// maxKeyAge is the age at which auth servers refuse a key of this organization, whatever its
	// APIKey says, counted from its registration: from 1h to 87840h (ten years), such as 2160h
	// (90 days). The manager replaces each key in time before that. A key that is older already
	// is refused at once, and replaced.
	// Default: no bound.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('1h') && duration(self) <= duration('87840h')",message="spec.maxKeyAge is not between 1h and 87840h (ten years): write it as 2160h"
	MaxKeyAge *metav1.Duration `json:"maxKeyAge,omitempty"`

	// imports says which keys that were issued elsewhere an APIKey of this organization may list
	// in spec.importedKeys: Forbidden, none; Foreign, keys of any form but that of the keys which
	// are minted here (hxk_...); or Any, also keys that another installation has minted. With
	// Any, whoever learns the SHA-256 of a key that has ended can import it, and receives what
	// its holder still sends.
	// Default: Forbidden.
	// +optional
	Imports ImportPolicy `json:"imports,omitempty"`

	// blocked are APIKeys whose keys for this organization are refused, whatever their own spec
	// says, each by its namespace and name. Only whoever may change the Organization can lift
	// that: also an APIKey that is created again under the same name is refused. At most 256.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	Blocked []BlockedAPIKey `json:"blocked,omitempty"`

	// suspend stops all keys of the organization while it is true: auth servers refuse them.
	// When it is false again, the same keys work again.
	// Default: false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ImportPolicy says which keys that were issued elsewhere may be imported.
// +kubebuilder:validation:Enum=Forbidden;Foreign;Any
type ImportPolicy string

const (
	// ImportForbidden accepts no imported key.
	ImportForbidden ImportPolicy = "Forbidden"
	// ImportForeign accepts imported keys, but none that has the form of the keys that
	// this product mints: no key that was minted here can become anybody else's.
	ImportForeign ImportPolicy = "Foreign"
	// ImportAny accepts every imported key. It is for keys that another installation has
	// minted. Whoever learns the hash of a key that has ended can import it here, and
	// receives what its holder still sends with it.
	ImportAny ImportPolicy = "Any"
)

// BlockedAPIKey names an APIKey whose keys are refused. It may not exist yet.
type BlockedAPIKey struct {
	// namespace is the namespace of the APIKey.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="spec.blocked has a namespace that no APIKey can be in: use lower case letters, digits and '-'"
	Namespace string `json:"namespace,omitempty"`
	// name is the metadata.name of the APIKey.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="spec.blocked has a name that no APIKey can have: use lower case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`
}

// NamespacePolicy permits the namespaces that a selector selects.
type NamespacePolicy struct {
	// selector selects the namespaces that may have keys, by their labels. To name a namespace,
	// use its label kubernetes.io/metadata.name, which nobody can change. An empty selector ({})
	// selects every namespace.
	// Default: no namespace.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// OrganizationStatus is what the manager has done and observed.
type OrganizationStatus struct {
	// conditions are for people and tools; no program of the operator decides by them. Ready is
	// whether the spec is realized. Reconciling and Stalled are present only while they are True.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the metadata.generation that the conditions describe.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// appliedGeneration is the latest metadata.generation whose spec all auth servers are known
	// to apply.
	// +optional
	// +kubebuilder:validation:Minimum=1
	AppliedGeneration int64 `json:"appliedGeneration,omitempty"`

	// id is what upstreams know the organization by: spec.id, or metadata.name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=150
	ID string `json:"id,omitempty"`
}

// OrganizationList is a list of Organizations.
// +kubebuilder:object:root=true
type OrganizationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Organization `json:"items"`
}

// EffectiveID is spec.id, or metadata.name where that is empty.
func (o *Organization) EffectiveID() string {
	if o.Spec.ID != "" {
		return o.Spec.ID
	}
	return o.Name
}

// OlderThan reports whether o came before other, as APIKey.OlderThan does: of two Organizations
// that have one id the younger is refused.
func (o *Organization) OlderThan(other *Organization) bool {
	return olderThan(&o.ObjectMeta, &other.ObjectMeta)
}

// EffectiveImports is spec.imports, or Forbidden where that is empty or unknown to this
// release.
func (o *Organization) EffectiveImports() ImportPolicy {
	switch o.Spec.Imports {
	case ImportForeign, ImportAny:
		return o.Spec.Imports
	case ImportForbidden:
	}
	return ImportForbidden
}

// Blocks reports whether spec.blocked names the APIKey.
func (o *Organization) Blocks(namespace, name string) bool {
	return slices.Contains(o.Spec.Blocked, BlockedAPIKey{Namespace: namespace, Name: name})
}

// EffectiveScopes is spec.scopes, or all scopes where that is empty.
func (o *Organization) EffectiveScopes() []Scope {
	if len(o.Spec.Scopes) > 0 {
		return o.Spec.Scopes
	}
	return AllScopes()
}
