// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers is the manager: it brings each APIKey from its manifest to a working
// key in a Secret, and ends the key when the manifest goes. This package puts it together:
//
//	apikey        observes an APIKey, has internal/lifecycle decide, and acts
//	organization  says how an Organization stands
//	restart       restarts the consumers that read a Secret only when they start
//
// Each write to the API server leaves a state from which the next look can go on, whoever
// makes it. After REGISTER (see package v1alpha1) the key of a hash is in this process's
// memory only: after a crash nobody has the key, and the next look replaces the hash. After
// PUBLISH the next look recognizes the Secret by its digest.
//
// The manager never publishes a key that some live auth server does not know, removes a
// finalizer while some auth server may accept the key, takes a key from a backup, or touches
// a Secret that the APIKey does not own; but for one that was left by an APIKey of the same
// name, as internal/lifecycle/secret.go says.
package controllers
