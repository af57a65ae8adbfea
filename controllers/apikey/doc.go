// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apikey brings each APIKey to a working key in a Secret, and ends it: it observes,
// has [lifecycle.Decide] decide, and acts.
//
//	observe.go   what the caches say, each read once, and what only a request tells, where a
//	             decision asks for it
//	act.go       one write, then the next decision; bounded
//	secret.go    the Secrets
//	imports.go   who has which hash
//	tell.go      what people and the audit trail are told of lifecycle.Transitions
//	watches.go   what makes it look again, and priority.go in which order
//	cached.go    what caches keep of objects
//
// No decision about the life of a key is made here.
package apikey
