// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Command flood measures what junk does to an auth server: how long valid requests
// take alone, and beside ten times as many with keys that are unknown, malformed, cut
// off, oversized, repeated or in the wrong header. The product runs as real processes
// on a real control plane (package stack).
//
//	valid   ────────────   200 a second, all the time, on connections of their own
//	junk        ████      2000 a second, every other phase
//
// Requests are sent when they are due, whether or not earlier ones were answered, and
// their time counts from when they were due: a server that stalls is measured as one.
// Every answer is checked: valid requests are let in, and junk is refused.
//
// Standard output has one line a result and nothing else:
//
//	valid_alone_p50_ms=…     of all phases together, and so the next three
//	valid_alone_p99_ms=…
//	valid_flooded_p50_ms=…
//	valid_flooded_p99_ms=…
//	flooded_to_alone_p99=…   of neighbouring phases, the median of all pairs; at most 2
//	junk_per_s=…             that were answered
//	rss_before_mb=…          of the auth server, after the first phase alone
//	rss_first_flood_mb=…     most in the first phase of junk
//	rss_last_flood_mb=…      most in the last one
//
// It fails if an answer was wrong, or a bound does not hold.
package main
