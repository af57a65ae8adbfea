// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package session verifies dashboard sessions: JSON Web Tokens that an OpenID Connect
// issuer has signed for the dashboard.
//
//	Run ── discovery, keys ──► issuer        one goroutine, at a bounded rate
//	 │
//	 ▼ the issuer's keys of now
//	Verify ── parse ─► key ─► signature, issuer, audience, expiry (go-oidc) ─► claims
//
// What this package promises:
//   - A token is accepted only if the issuer has signed it, with an asymmetric
//     algorithm, for this audience; if it is valid now; and if it names one
//     organization, by an id that an Organization may have.
//   - A refusal is certain. A token that cannot be verified because the issuer does not
//     answer is Undecided.
//   - Nothing that a client sends makes the issuer hear from this process more often
//     than once in fetchInterval, nor makes a request wait longer than patience.
//   - A key that the issuer withdraws is forgotten within refreshInterval while the
//     issuer can be reached, and within maxAge whatever happens.
//
// What it must never do: log, count or return a token or a part of one; believe
// anything of a token before its signature was checked, unless to refuse it.
package session
