// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rotation decides when a key is replaced, and when the one before it ends.
// It is pure: the same facts give the same decision.
//
//	           interval, maxKeyAge, trigger                 usage, overlap
//	current ───────────── Due ─────────────► Retiring ───────── Retire ─────────► Revoked
//	   ▲                                        │
//	   └──────────────── undo ──────────────────┘
//
// A key is never retired because a timer alone says so, but for overlap.max, which is
// the word of whoever wrote the manifest: as long as it is not known that nothing uses
// a key, that counts as use.
package rotation
