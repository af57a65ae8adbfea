// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit writes what happened to each key, one JSON line an event, apart
// from the logs, and verifies such lines offline. docs/audit.md is the schema.
//
//	Record ──► line ──► bounded queue ──► writer (standard output or a File)
//	             └────► Exporter (a copy of the same line)
//	Refusals ──► Record, once for the first of a kind, then once a minute
//
// Each line holds the hash of the line before it in its process, and its own.
//
// What this package promises:
//   - Every line names an action, an object and an actor, in one versioned schema.
//   - A line names a key by its ID, never by anything that the key could be derived from.
//   - A line has a bounded length, whatever the strings in it.
//   - A line that was deleted, altered or replaced is found.
//   - A writer that fails or blocks delays one caller by at most a second, and the next ones
//     not at all. A bounded number of lines waits and is written in order.
//   - Lines beyond that bound are dropped. The next line is preceded by a record in the
//     chain that says how many, and since when.
//
// What it must never do: keep its caller from revoking a key or answering a request.
package audit
