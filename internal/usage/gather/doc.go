// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gather is the manager's end of the gathering of usage.
//
// A Gatherer asks each auth server, by its Lease, for what it has counted. A Ledger
// remembers it, for each version that exists, and says which APIKeys' statuses are due
// to be written; the pass over an APIKey writes.
//
//	Lease ──► address, pin ──► Question, Answer ──► Ledger ──► due? ──► pass ──► status
//	                             ▲                                        │
//	                             └───────── acknowledged ◄── seen written ┘
//
// It promises that nothing is counted twice in one manager's life, but by an auth server
// that nobody saw for rememberedFor; that what an auth server has handed over counts; that
// Coverage tells where something may have been missed; and that an auth server that hangs,
// or always has more to tell, holds no other up. It must never send a token to whom the
// Lease does not name, or a token that may do more than ask for usage: an auth server that
// was taken over keeps it.
package gather
