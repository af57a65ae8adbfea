// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registry is the distributed part of the product: it brings the hashes
// of keys from the Kubernetes API to every auth server, and the word that they
// arrived, or are gone, back to the manager.
//
//	             Kubernetes API
//	APIKeys, Organizations,
//	Namespaces                     Leases
//	       │ watch                ▲      │ list
//	       ▼                      │      ▼
//	     feed ──► index ──► "applied ≥ r"     Members
//	       └───── Replica ────────┘      │
//	                 ▲                   ▼
//	          Authenticate        controllers: is r applied by all?
//
// On the side of the auth server, a Replica first writes its Lease with nothing
// applied, then makes a consistent list, then serves. So whatever the list did
// not show is a change that the manager waits for: a replica that joins in the
// middle of a revocation is either in the manager's list, or lists after it.
//
// What a Replica serves from is a session: one index, and one deadline that only
// an unbroken series of renewals extends. A request takes a session, looks up in
// its index, and checks its deadline last. A replica that cannot renew is fenced:
// it answers Undecided to everything, and joins anew with a new session.
//
// A replica that renews its Lease, and cannot list or watch, says so in the Lease. It
// calls no key unknown from before that on, until its index has all that stood when the
// Lease had stopped to say so. After the bound of staleness it is fenced.
//
// On the side of the manager, Members lists the Leases for each decision, and
// says who has not applied a revision yet. When all seem to have, a list that is
// not older than one of these Leases is enough: whoever joined since sees the
// change. Otherwise it is a consistent list. A Lease counts as run out only after
// this process has itself seen it unrenewed, in consistent lists, for the whole
// staleness bound and a margin; no two machines' clocks are ever compared.
//
// What this package must never do: report a revision as applied before the index
// has it, serve before the index is complete, extend a session that was broken,
// or decide from an informer's cache.
package registry
