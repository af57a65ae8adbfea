// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures the life of keys, one after another, with the product
// running as real processes on a real control plane (package stack):
//
//	create call ──────────────► Ready=True, seen by a watch        apply_ready
//	                DELETE answered ──► refused by every replica   delete_refused
//	                delete call ──────────────► gone, by the watch delete_done
//
// Refusals are seen by asking each replica each millisecond, from before the DELETE
// on; one that came before the DELETE's answer counts as 0. How many writes a mint
// takes is counted in the API server's audit log.
//
// Standard output has one line a result and nothing else:
//
//	apply_ready_p50_ms=…
//	apply_ready_p99_ms=…
//	delete_refused_p99_ms=…
//	delete_done_p50_ms=…
//	delete_done_p99_ms=…
//	mint_writes=…   writes of the manager for one key until it is deleted, but Leases and Events
//	mint_events=…   Events of the manager for one key
//
// and then, of many keys at once, and of the same deletions by the API server alone,
// which nothing that waits for it can be faster than:
//
//	burst_mints_per_s=…
//	burst_deletes_per_s=…
//	floor_delete_p50_ms=…
//	floor_deletes_per_s=…
//
// Standard error has progress, the whole distributions, and each kind of write.
package main
