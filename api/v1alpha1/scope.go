// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Scope names a part of the programmatic surface that a key may reach.
// +kubebuilder:validation:Enum=ingest;query;annotations;heartbeats
type Scope string

const (
	// ScopeIngest permits sending metrics, logs and traces over OTLP.
	ScopeIngest Scope = "ingest"
	// ScopeQuery permits queries over POST /api/v1/dsl.
	ScopeQuery Scope = "query"
	// ScopeAnnotations permits reading and writing /api/v1/annotations.
	ScopeAnnotations Scope = "annotations"
	// ScopeHeartbeats permits the heartbeats of cron jobs.
	ScopeHeartbeats Scope = "heartbeats"
)

// AllScopes is the whole programmatic surface, in the order in which scopes are listed.
func AllScopes() []Scope {
	return []Scope{ScopeIngest, ScopeQuery, ScopeAnnotations, ScopeHeartbeats}
}

// DefaultScopes are the scopes of a key whose spec names none. A scope that a later release
// adds does not come in here: no key widens without somebody's word.
func DefaultScopes() []Scope {
	return []Scope{ScopeIngest, ScopeQuery, ScopeAnnotations, ScopeHeartbeats}
}
