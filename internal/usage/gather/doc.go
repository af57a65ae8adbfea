// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gather is the manager's end of the gathering of usage.
//
// A Gatherer asks each auth server, by its Lease, for what it has counted. A Ledger
// remembers it, for each version that exists: when it was last used, from where while it
// retires, and how often, for metrics. It says which APIKeys' statuses are due to be
// written for a last use; the pass over an APIKey writes.
//
//	Lease ──► address, pin ──► Question, Answer ──► Ledger ──► due? ──► pass ──► status
//	                                                   └─────► metrics
//
// A last use is a maximum: it may be answered and written twice, by two managers, in any order.
// A count is of this process, and ends with it.
//
// It promises that Coverage says where a use may have been missed; and that an auth server
// that hangs, or never ends its answers, blocks no other. It must never send a token to a
// server that the Lease does not name, or a token that may do more than ask for usage: a
// compromised auth server keeps it.
package gather
