// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"cmp"
	"slices"

	"github.com/hexcovery/apikey-operator/internal/usage"
)

// merge adds sources up: the busiest first, and those beyond the limit in one without an
// endpoint at the end. It changes neither argument.
func merge(a, b []usage.Source) []usage.Source {
	if len(b) == 0 {
		return a
	}
	requests := map[usage.Source]int64{}
	for _, source := range slices.Concat(a, b) {
		from := usage.Source{Endpoint: source.Endpoint, Gateway: source.Gateway}
		requests[from] += source.Requests
	}
	var merged []usage.Source
	var others int64
	for from, n := range requests {
		if from == (usage.Source{}) {
			others = n
			continue
		}
		from.Requests = n
		merged = append(merged, from)
	}
	slices.SortFunc(merged, func(a, b usage.Source) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Endpoint, b.Endpoint))
	})
	for len(merged) > usage.MaxOrigins {
		others += merged[len(merged)-1].Requests
		merged = merged[:len(merged)-1]
	}
	if others > 0 {
		merged = append(merged, usage.Source{Requests: others})
	}
	return merged
}
