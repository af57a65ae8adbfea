// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// VersionState is how far a version has come.
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

// KeyVersion is one key of an APIKey, known by its hash.
type KeyVersion struct {
	// id is the key ID: the first 12 hexadecimal digits of sha256.
	// +required
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{12}$`
	ID string `json:"id"`

	// sha256 of the whole key, in lower case hexadecimal.
	// +required
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	SHA256 string `json:"sha256"`

	// state is how far the version has come.
	// +required
	State VersionState `json:"state"`

	// registrationTime is when the hash was registered; of an imported key, when its APIKey
	// was created. It is what the organization's maxKeyAge counts from.
	// +required
	RegistrationTime metav1.Time `json:"registrationTime"`

	// origin is where the key comes from. Default: Minted.
	// +optional
	Origin VersionOrigin `json:"origin,omitempty"`

	// activationTime is when the key was published, or published again.
	// +optional
	ActivationTime *metav1.Time `json:"activationTime,omitempty"`

	// replacementTime is when the key was replaced.
	// +optional
	ReplacementTime *metav1.Time `json:"replacementTime,omitempty"`

	// mintReason is why the key was minted. It is absent where it was imported.
	// +optional
	MintReason MintReason `json:"mintReason,omitempty"`

	// revocationReason is why the key was revoked.
	// +optional
	RevocationReason RevocationReason `json:"revocationReason,omitempty"`

	// lastUsedTime is when the key was last used, as far as was gathered.
	// +optional
	LastUsedTime *metav1.Time `json:"lastUsedTime,omitempty"`

	// revokedBy is the user who revoked the key, where a user did.
	// +optional
	RevokedBy *UserReference `json:"revokedBy,omitempty"`
}

// UserReference names a user of the Kubernetes API, as its admission has seen them.
type UserReference struct {
	// username of the user.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Username string `json:"username"`
	// uid of the user, where the API server knows one.
	// +optional
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
