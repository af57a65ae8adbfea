// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package usage knows when each key was last used, and counts its requests.
//
//	auth server                                      manager
//	request ── Counter ──► Table ◄── Question ───┐
//	             (atomics)   └────── Answer ───► gather.Gatherer ──► gather.Ledger ──► status
//
// An auth server counts in memory: one Counter for each version of a key that its
// index holds. The manager asks each of them at an interval. An answer has totals, never
// differences: one that was lost is repeated, and one that came twice is counted once. The
// last use goes into the key's status, a maximum that may be written twice; how often is in
// the metrics of the manager that has gathered it, and nowhere else.
//
// What this package promises: a request costs no lock and no allocation; memory is
// bounded by the number of keys; counts stay until they were gathered, or are counted as
// lost. What it must never do: decide about a request, or delay one.
//
// Package serve is the auth server's end, package gather the manager's.
package usage
