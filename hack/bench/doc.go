// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures the product, running as real processes on a real control
// plane (package stack). Standard output has one line a result and nothing else;
// standard error has progress, and what explains the results.
//
// # bench lifecycle
//
// It measures the life of keys, one after another:
//
//	create call ──────────────► Ready=True, seen by a watch        apply_ready
//	                DELETE answered ──► refused by every replica   delete_refused
//	                delete call ──────────────► gone, by the watch delete_done
//
// Refusals are seen by asking each replica each millisecond, from before the DELETE
// on; one that came before the DELETE's answer counts as 0.
//
//	apply_ready_p50_ms=…
//	apply_ready_p99_ms=…
//	delete_refused_p99_ms=…
//	delete_done_p50_ms=…
//	delete_done_p99_ms=…
//
// and then, of many keys at once:
//
//	burst_mints_per_s=…
//	burst_deletes_per_s=…
//
// At the end the product is stopped, and its writes are made without it, in the same way, by a
// client that waits for nothing:
//
//	floor_ready_p50_ms=…    the create, the finalizer, two statuses and the Secret
//	floor_done_p50_ms=…     the DELETE, the Secret, the finalizer
//	ready_p50_ratio=…       apply_ready to that
//	done_p50_ratio=…        delete_done to that; at most 1.7
//	floor_mints_per_s=…
//	burst_ratio=…           burst_mints to that; at least 0.65
//
// Standard error has the whole distributions, and the results that are not what the
// product is held to.
//
// # bench flood
//
// It measures what junk does to an auth server: how long valid requests take alone, and
// beside ten times as many with keys that are unknown, malformed, cut off, oversized,
// repeated or in the wrong header.
//
//	valid   ────────────   200 a second, all the time, on connections of their own
//	junk        ████      2000 a second, every other phase
//
// Latency counts from when a request was due (package load): a server that stalls is
// measured as one. Every answer is checked: valid requests are let in, and junk is
// refused.
//
//	valid_alone_p50_ms=…     of all phases together, and so the next three
//	valid_alone_p99_ms=…
//	valid_flooded_p50_ms=…
//	valid_flooded_p99_ms=…
//	flooded_to_alone_p99=…   of neighbouring phases, the median of all pairs; at most 2
//	junk_per_s=…             that were answered
//	rss_before_mb=…          of the auth server, the most in a first phase alone
//	rss_first_flood_mb=…     most in the first phase of junk
//	rss_last_flood_mb=…      most in the last one
//
// It fails if an answer was wrong, or a bound does not hold.
package main
