// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers is the manager: it brings each APIKey from its manifest to
// a working key in a Secret, and ends the key when the manifest goes.
//
// A Reconcile is one pass over one APIKey. Its phases come in a fixed order, each
// in a file of its own:
//
//	permit ─► reap ─► inspect ─► register ─► acknowledge ─► publish ─► rotate ─► retire ─► status
//	           └─────► withdraw (of a key that is not to work) ─────────────────────────────┤
//	revoke (of an APIKey that is being deleted) ────────────────────────────────────────────┘
//
// Beside the current key, takeUp has the versions agree with spec.importedKeys, and expel, after
// inspect, ends what has to end whatever becomes of the phases after it.
//
// A phase records facts in the pass, and says whether the next may go on. What
// the facts mean for the conditions is judged in one place, status.go. Writes to
// the API server are made in the order of the design, and each leaves a state
// from which the next pass can go on, whoever makes it:
//
//	finalizer    nothing registered yet
//	REGISTER     a hash whose key is in this process's memory only; after a
//	             crash nobody has the key, and the next pass replaces the hash
//	PUBLISH      the Secret holds the key of the registered hash; after a crash
//	             the next pass recognizes it by its digest
//	Active       done, until it is due to be replaced
//
// A rotation goes the same way, with the version before it Active until PUBLISH, and
// Retiring from then on. One that is ended is written down as Revoked first, and taken
// out of the status when no auth server can accept it any more.
//
// No phase may publish a key that some live auth server does not know, remove a
// finalizer while some auth server may accept the key, take a key from a backup, or
// touch a Secret that the APIKey does not own; but for one that was left by an APIKey
// of the same name, as restore.go says.
package controllers
