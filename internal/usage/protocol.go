// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

const (
	// Path is where an auth server is asked, by POST: what RBAC permits by
	// nonResourceURLs.
	Path = "/usage"
	// MaxVersions bounds the versions in one Answer.
	MaxVersions = 1000
	// MaxQuestionBytes bounds what an auth server reads.
	MaxQuestionBytes = 4 << 10
	// MaxAnswerBytes bounds what the manager reads.
	MaxAnswerBytes = 4 << 20
)

// Question is what a manager asks an auth server.
type Question struct {
	// Process is who is asked: another process has other counters.
	Process string `json:"process"`
	// Since is the Scan of the first Answer of the last series that was gathered: what has
	// not changed since is left out. 0 asks for everything.
	Since uint64 `json:"since,omitempty"`
	// After is the last version of the Answer before, in a series of them.
	After *ID `json:"after,omitempty"`
	// Taken: every Answer to the end was gathered, so the auth server may stop.
	Taken bool `json:"taken,omitempty"`
}

// Answer is what an auth server has counted.
type Answer struct {
	Process string `json:"process"`
	// Now is the auth server's clock, in seconds since 1970: times here are compared
	// with it, and with no other clock.
	Now int64 `json:"now"`
	// Final: the last request was answered, and these counts change no more.
	Final bool `json:"final,omitempty"`
	// Scan numbers the scans of the counters.
	Scan uint64 `json:"scan"`
	// Versions are in the order of their IDs.
	Versions []Count `json:"versions,omitempty"`
	// More: the answer has its limit, and there are versions after these.
	More bool `json:"more,omitempty"`
}

// Count is what was counted of one version, since the auth server first had it.
type Count struct {
	ID

	Requests int64 `json:"requests"`
	// LastUsed is in seconds since 1970, by the auth server's clock.
	LastUsed int64 `json:"lastUsed"`
	// Sources are there while the version is retiring, since it is.
	Sources []Source `json:"sources,omitempty"`
}
