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
//	  └─┬──┬────┘
//	    │  │  rotated: another key goes through Pending and takes its place
//	    │  ▼
//	    │ ┌──────────┐  accepted as before, and in a Secret of its own, until its
//	    │ │ Retiring │  successor is used and it is not; or undone: the two change
//	    │ └────┬─────┘  places
//	    │      │
//	    │  Secret deleted, or its api-key edited, retired, taken out of spec.importedKeys
//	    │      ▼
//	    │ ┌─────────┐  refused by each replica as it sees that write; the entry
//	    │ │ Revoked │  goes when every replica has said so in its Lease, or is
//	    │ └────┬────┘  known to be fenced
//	    │      ▼
//	    │   removed    the APIKey and its other versions live on
//	    │
//	    ▼ APIKey deleted
//	   removed     every replica has dropped every hash and says so in its Lease,
//	               or is known to be fenced; then the Secret goes, then the finalizer
//
// A version that is Pending, Active or Retiring is accepted only while all of this holds,
// judged by each auth server for itself at each request: the APIKey is not being
// deleted, not suspended, not expired; its status.acceptance is Accepted; its Organization
// exists, is not suspended, has the id that the key was minted for, and permits the
// namespace and the version's age. Suspension, expiry and a withdrawn permission can be
// undone, and the same key works again; a deleted key never does.
//
// status.appliedGeneration is the latest generation of the spec that every auth server is
// known to apply. Conditions are for people and tools, and decide nothing.
//
// The key itself is in one place, its Secret. Everything here holds a hash.
//
// A CEL rule must not fail to evaluate for anything that may be stored: the API server
// lets an unchanged value pass for which a rule is false, but refuses each write of an
// object for which it fails, also the one that ends its key. So a text is matched before
// it is read as a duration. No field of spec has a format: of one that has, the API server
// accepts a list in place of a text, and each rule fails that comes by it.
//
// This package imports apimachinery only and holds no logic but what describes
// its types.
//
// +kubebuilder:object:generate=true
// +groupName=auth.hexcovery.io
package v1alpha1
