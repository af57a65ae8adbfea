// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package attack sends the corpus of attacks through gateways, and judges what
// arrives behind them.
//
//	corpus ──► client ──► gateway ──► upstream stand-in ──► oracle
//	                         │
//	                         └──► auth server
//
// A case says what is sent, and nothing of what should happen: one oracle judges
// every request that arrives at the upstream stand-in, by the same rules (oracle.go).
// A case of the class legitimate has to arrive, all others must not, unless what
// arrives is harmless by those rules.
//
// An attack that works nowhere proves nothing. So each case is also sent to naive
// gateways (naives.go), each with one weakness that products had, and has to be
// seen to get around at least one of them.
package attack
