// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"maps"
	"slices"
)

// Env is what envFrom makes of a Secret: a variable for each entry. Kubernetes takes
// every name, api-key too, since version 1.32.
func Env(data map[string][]byte) []string {
	var env []string
	for _, name := range slices.Sorted(maps.Keys(data)) {
		env = append(env, name+"="+string(data[name]))
	}
	return env
}
