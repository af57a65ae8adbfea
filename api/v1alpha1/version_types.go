// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// VersionState is how far a key has come.
// +kubebuilder:validation:Enum=Pending;Active;Retiring;Revoked
type VersionState string

const (
	// VersionPending is registered, and accepted by each auth server that has loaded it. Its
	// key may not be in the Secret yet.
	VersionPending VersionState = "Pending"
	// VersionActive is published: its key is in the Secret. One that was imported is
	// accepted, and is in no Secret.
	VersionActive VersionState = "Active"
	// VersionRetiring was replaced and is still accepted, until nobody uses it.
	VersionRetiring VersionState = "Retiring"
	// VersionRevoked is refused. It stays here until every auth server is known to
	// refuse it.
	VersionRevoked VersionState = "Revoked"
)

// VersionOrigin is where a key comes from.
// +kubebuilder:validation:Enum=Minted;Imported
type VersionOrigin string

const (
	// OriginMinted is a key that the manager has made.
	OriginMinted VersionOrigin = "Minted"
	// OriginImported is a key of spec.importedKeys.
	OriginImported VersionOrigin = "Imported"
)

// MintReason is why a key was minted.
// +kubebuilder:validation:Enum=Requested;Restored;SecretDrifted;DuplicateDigest;KeyRevoked;RotateAfter;Interval;MaxKeyAge
type MintReason string

const (
	// MintRequested: the APIKey had none.
	MintRequested MintReason = "Requested"
	// MintRestored: the APIKey's Secret or status comes from a backup.
	MintRestored MintReason = "Restored"
	// MintDrifted: the Secret that held the key before was deleted or edited by hand.
	MintDrifted MintReason = "SecretDrifted"
	// MintDuplicate: the hash of the key before is that of an older APIKey's key.
	MintDuplicate MintReason = "DuplicateDigest"
	// MintRevoked: spec.revokedKeyIDs names the key before.
	MintRevoked MintReason = "KeyRevoked"
	// MintRotateAfter: the key before was not registered after spec.rotation.rotateAfter.
	MintRotateAfter MintReason = "RotateAfter"
	// MintInterval: the key before was as old as spec.rotation.interval.
	MintInterval MintReason = "Interval"
	// MintMaxKeyAge: the key before was about to be as old as the Organization's maxKeyAge.
	MintMaxKeyAge MintReason = "MaxKeyAge"
)

// RevocationReason is why a key was revoked while its APIKey lives on.
// +kubebuilder:validation:Enum=SecretDrifted;SecretConflict;DuplicateDigest;Abandoned;Requested;Unlisted;ImportForbidden;Blocked;Unused;MaxReached;MaxReachedInUse
type RevocationReason string

const (
	// RevokedDrifted: the Secret that held it was deleted or edited by hand.
	RevokedDrifted RevocationReason = "SecretDrifted"
	// RevokedConflict: a Secret that the APIKey does not own is in the place of the one
	// that held it.
	RevokedConflict RevocationReason = "SecretConflict"
	// RevokedDuplicate: its hash is that of an older APIKey's key.
	RevokedDuplicate RevocationReason = "DuplicateDigest"
	// RevokedAbandoned: it was never published, and the manager that minted it has ended.
	RevokedAbandoned RevocationReason = "Abandoned"
	// RevokedRequested: spec.revokedKeyIDs names it.
	RevokedRequested RevocationReason = "Requested"
	// RevokedUnlisted: it was taken out of spec.importedKeys.
	RevokedUnlisted RevocationReason = "Unlisted"
	// RevokedForbidden: the Organization no longer permits imports.
	RevokedForbidden RevocationReason = "ImportForbidden"
	// RevokedBlocked: the Organization blocks the APIKey.
	RevokedBlocked RevocationReason = "Blocked"
	// RevokedUnused: it was replaced, its successor is in use, and it has been idle.
	RevokedUnused RevocationReason = "Unused"
	// RevokedAtMax: it was replaced, overlap.max has passed, and it was out of use.
	RevokedAtMax RevocationReason = "MaxReached"
	// RevokedInUse: it was replaced, overlap.max has passed, and it may still have been in use.
	RevokedInUse RevocationReason = "MaxReachedInUse"
)

// KeyVersion is one key of an APIKey, known by its SHA-256.
type KeyVersion struct {
	// id is the ID of the key: the first 12 hexadecimal digits of sha256, such as 0123456789ab.
	// +required
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{12}$`
	ID string `json:"id,omitempty"`

	// sha256 is the SHA-256 of the whole key, in 64 lower case hexadecimal digits.
	// +required
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	SHA256 string `json:"sha256,omitempty"`

	// state is how far the key has come: Pending, until auth servers have loaded its hash and the
	// Secret holds it; Active; Retiring, replaced and still accepted; or Revoked, refused, until
	// all auth servers are known to refuse it and the entry is removed.
	// +required
	State VersionState `json:"state,omitempty"`

	// registrationTime is when the key was registered; of an imported key, when its APIKey was
	// created. The Organization's maxKeyAge counts from it.
	// +required
	RegistrationTime metav1.Time `json:"registrationTime"`

	// origin is where the key comes from: Minted, by the manager, or Imported, from
	// spec.importedKeys.
	// Default: Minted.
	// +optional
	Origin VersionOrigin `json:"origin,omitempty"`

	// activationTime is when the key was last written into the Secret as the current one.
	// +optional
	ActivationTime *metav1.Time `json:"activationTime,omitempty"`

	// replacementTime is when another key took its place. rotation.overlap counts from it.
	// +optional
	ReplacementTime *metav1.Time `json:"replacementTime,omitempty"`

	// mintReason is why the key was minted, such as Interval. It is absent from an imported key.
	// +optional
	MintReason MintReason `json:"mintReason,omitempty"`

	// revocationReason is why the key was revoked, such as Unused. It is absent from a key that
	// is not Revoked.
	// +optional
	RevocationReason RevocationReason `json:"revocationReason,omitempty"`

	// lastUsedTime is when a request last bore the key, as far as the manager has learned of it
	// from auth servers.
	// +optional
	LastUsedTime *metav1.Time `json:"lastUsedTime,omitempty"`

	// revokedBy is the user who revoked the key. It is absent if no user did, as for a key that
	// is revoked because it is unused.
	// +optional
	RevokedBy *UserReference `json:"revokedBy,omitempty"`
}

// UserReference names a user of the Kubernetes API, as admission has seen them.
type UserReference struct {
	// username is the user's name, such as alice or system:serviceaccount:argocd:argocd.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Username string `json:"username,omitempty"`
	// uid is the user's UID. It is absent if the API server knows none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	UID string `json:"uid,omitempty"`
}

// Accepted reports whether auth servers accept keys in this state. One that this
// release does not know is not.
func (s VersionState) Accepted() bool {
	return s == VersionPending || s == VersionActive || s == VersionRetiring
}

// Imported reports whether the key was issued elsewhere.
func (v *KeyVersion) Imported() bool { return v.Origin == OriginImported }
