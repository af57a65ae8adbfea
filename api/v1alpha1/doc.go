// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the API of the Hexcovery API Key Operator: an
// Organization says which namespaces may have keys, an APIKey asks for one.
//
// # The life of a key
//
//	manifest applied
//	       │  controllers: does the Organization permit this namespace and these scopes?
//	       ▼
//	  ┌─────────┐  write 1: the SHA-256 of a new key in status.versions   REGISTER
//	  │ Pending │  every auth server replica that is live indexes the hash
//	  └────┬────┘  and says so in its Lease                               ACKNOWLEDGE
//	       │       write 2: the Secret with the key itself                PUBLISH
//	       ▼
//	  ┌─────────┐  write 3: Ready=True
//	  │ Active  │
//	  └────┬────┘
//	       ├─ Secret edited or deleted by hand: the hash is replaced by that of a
//	       │  new Pending key; replicas drop the old one as they see that write
//	       │  APIKey deleted
//	       ▼
//	   removed     every replica has dropped the hash and says so in its Lease, or
//	               is known to be fenced; then the Secret goes, then the finalizer
//
// A version that is Pending or Active is accepted only while all of this holds,
// judged by each auth server for itself at each request: the APIKey is not being
// deleted, not suspended, not expired; its Permitted condition is True, and its
// Registered condition does not say that the key was taken back; its Organization
// exists, is not suspended, and has the id that the key was minted for. Suspension,
// expiry and a withdrawn permission can be undone, and the same key works again; a
// deleted key never does.
//
// The key itself is in one place, its Secret. Everything here holds a hash.
//
// This package imports apimachinery only and holds no logic but what describes
// its types.
//
// +kubebuilder:object:generate=true
// +groupName=auth.hexcovery.io
package v1alpha1
