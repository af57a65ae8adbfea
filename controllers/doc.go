// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers is the manager: it brings each APIKey from its manifest to a working
// key in a Secret, and ends the key when the manifest goes. This package puts it together:
//
//	apikey        observes an APIKey, has internal/lifecycle decide, and acts
//	organization  says how an Organization stands
//	restart       restarts the consumers that read a Secret only when they start
//
// Writes to the API server are made in the order of the design, and each leaves a state
// from which the next look can go on, whoever makes it:
//
//	finalizer    nothing registered yet
//	REGISTER     a hash whose key is in this process's memory only; after a
//	             crash nobody has the key, and the next look replaces the hash
//	PUBLISH      the Secret holds the key of the registered hash; after a crash
//	             the next look recognizes it by its digest
//	Active       done, until it is due to be replaced
//
// A rotation goes the same way. The version before it is Active until PUBLISH, where its key
// is put into the Secret for the previous one first, and Retiring from then on. A version
// that is ended is written down as Revoked first, and pruned when no auth server can accept
// it any more.
//
// The manager never publishes a key that some live auth server does not know, removes a
// finalizer while some auth server may accept the key, takes a key from a backup, or touches
// a Secret that the APIKey does not own; but for one that was left by an APIKey of the same
// name, as internal/lifecycle/secret.go says.
package controllers
