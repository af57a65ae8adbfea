// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scope holds sets of scopes, small enough to be part of every grant and
// every rule of the surface.
package scope

import (
	"strings"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// Set is a set of scopes. The zero Set is empty and permits nothing.
type Set uint8

// bits maps each scope to its bit. A scope that is not here is in no Set: what
// this version does not know, it does not grant.
var bits = map[v1alpha1.Scope]Set{
	v1alpha1.ScopeIngest:      1 << 0,
	v1alpha1.ScopeQuery:       1 << 1,
	v1alpha1.ScopeAnnotations: 1 << 2,
	v1alpha1.ScopeHeartbeats:  1 << 3,
}

// Of returns the set of the scopes given. Unknown scopes are left out.
func Of(scopes ...v1alpha1.Scope) Set {
	var s Set
	for _, scope := range scopes {
		s |= bits[scope]
	}
	return s
}

// All returns the set of every scope.
func All() Set { return Of(v1alpha1.AllScopes()...) }

// Known reports whether scope is one that this version knows.
func Known(scope v1alpha1.Scope) bool { return bits[scope] != 0 }

// Contains reports whether every scope of other is in s.
func (s Set) Contains(other Set) bool { return s&other == other }

// Intersect returns the scopes that are in both.
func (s Set) Intersect(other Set) Set { return s & other }

// Without returns the scopes of s that are not in other.
func (s Set) Without(other Set) Set { return s &^ other }

// Empty reports whether no scope is in s.
func (s Set) Empty() bool { return s == 0 }

// String lists the scopes, as "ingest, query", in the order of AllScopes.
func (s Set) String() string {
	var names []string
	for _, scope := range v1alpha1.AllScopes() {
		if s.Contains(bits[scope]) {
			names = append(names, string(scope))
		}
	}
	return strings.Join(names, ", ")
}
