// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Organization is a tenant of the Hexcovery API, and the admin's word on which
// namespaces may have keys for it.
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
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the desired state of the organization.
	// +required
	Spec OrganizationSpec `json:"spec"`
	// status is what the manager last observed.
	// +optional
	Status OrganizationStatus `json:"status,omitzero"`

	// Refusal says why no program goes by this object: see APIKey.Refusal.
	Refusal string `json:"-"`
}

// OrganizationSpec is what an admin decides about an organization.
type OrganizationSpec struct {
	// id is what upstreams know the organization by (the value of X-Scope-OrgID).
	// Default: metadata.name. It cannot be changed.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=150
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`
	ID string `json:"id,omitempty"`

	// displayName is what people read; it has no effect.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches(r'^[^\\p{C}\\p{Zl}\\p{Zp}]*$')",message="spec.displayName has a line break, or a control or formatting character: write one line of plain text"
	DisplayName string `json:"displayName,omitempty"`

	// namespaces says which namespaces may have keys for this organization.
	// Default: none.
	// +optional
	Namespaces NamespacePolicy `json:"namespaces,omitzero"`

	// scopes is the most that a key of this organization may reach.
	// Default: all scopes.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Scopes []Scope `json:"scopes,omitempty"`

	// maxKeyAge is the age, since it was registered, at which a key of this organization
	// is refused, whatever its APIKey says: at least an hour, at most ten years. Keys are
	// rotated in time before it. Default: none.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('1h') && duration(self) <= duration('87840h')",message="spec.maxKeyAge is not between 1h and 87840h (ten years): write it as 2160h"
	MaxKeyAge *metav1.Duration `json:"maxKeyAge,omitempty"`

	// imports says which keys that were issued elsewhere an APIKey of this organization
	// may import. Whoever may read the status of an APIKey knows its hashes and could
	// import one, so this is for a platform admin to decide. Default: Forbidden.
	// +optional
	Imports ImportPolicy `json:"imports,omitempty"`

	// blocked are APIKeys of this organization whose keys are refused, whatever their own
	// spec says. Only who may change the Organization can lift it.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	Blocked []BlockedAPIKey `json:"blocked,omitempty"`

	// suspend stops every key of the organization, until it is false again.
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

// BlockedAPIKey names an APIKey whose keys are refused.
type BlockedAPIKey struct {
	// namespace of the APIKey.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// name of the APIKey.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
}

// NamespacePolicy permits the namespaces that match a selector.
type NamespacePolicy struct {
	// selector matches labels of namespaces that may have keys. A namespace is named by its
	// label kubernetes.io/metadata.name, which nobody can change. An empty selector ({})
	// matches every namespace; no selector matches none.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// OrganizationStatus is what the manager last observed.
type OrganizationStatus struct {
	// observedGeneration is the generation of the spec that conditions describe.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// appliedGeneration is the latest generation of the spec that every auth server is known
	// to apply.
	// +optional
	AppliedGeneration int64 `json:"appliedGeneration,omitempty"`

	// id is the organization's effective id.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ID string `json:"id,omitempty"`

	// conditions are for people and tools: Ready, and Reconciling or Stalled while they hold.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
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
