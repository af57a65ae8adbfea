// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import "time"

// Use is what was gathered about one version of a key.
type Use struct {
	// LastUsed is when the last request came that bore the key; zero if there was none.
	LastUsed time.Time
	// Sources are where requests came from, the busiest first: a few at most, and only of
	// versions that are retiring.
	Sources []Source
}

// Source is where requests came from. One without an endpoint stands for all that had
// no place in the list.
type Source struct {
	// Endpoint is the contract by which the auth server was asked.
	Endpoint string `json:"endpoint,omitempty"`
	// Gateway is the address that asked.
	Gateway string `json:"gateway,omitempty"`
	// Requests that came from there.
	Requests int64 `json:"requests"`
}

// Coverage says how far what was gathered can be relied on.
type Coverage struct {
	// Until is the time up to which every request was gathered, from every live auth
	// server; zero if some has never answered.
	Until time.Time
	// LastGap is when an auth server last ended without having handed over what it
	// had counted: until then keys may have been used unseen. Zero if none has.
	LastGap time.Time
}
