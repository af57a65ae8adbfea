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
// A key is never retired by a timer alone, but for overlap.max, which the manifest sets:
// what is not known about the use of a key counts as use.
package rotation
