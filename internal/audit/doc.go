// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit writes what happened to each key, one JSON line an event, apart
// from the logs, and verifies such lines offline. docs/audit.md is its schema.
//
//	Record ──► queue ──► line ──► writer (stdout or a File)
//	                       └────► Exporter (a copy of the same line)
//	Refusals ──► Record, once for the first of a kind, then once a minute
//
// Lines are chained: each bears the hash of the line before it that the same
// process wrote, and its own. So a line that is deleted, edited, repeated or moved
// is found, and so is the place where it was.
//
// What this package promises:
//   - Every line names an action, an object and an actor, in one schema with a version.
//   - A line names a key by its ID, never by anything that it could be derived from.
//   - A line has a bounded length, whatever the strings in it.
//   - A write that fails leaves a chain that can be verified: the next line says how
//     many are missing.
//   - A writer that is stuck holds a caller up for a second, and the next ones not at
//     all: a bounded number of lines waits for it, and the next line counts the others.
//
// What it must never do: keep its caller from going on. Record returns an error where
// a line is missing; a key is revoked all the same.
package audit
