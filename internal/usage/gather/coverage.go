// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import "github.com/hexcovery/apikey-operator/internal/usage"

// Coverage says how far what was gathered can be relied on. A nil Gatherer has gathered
// nothing.
func (g *Gatherer) Coverage() usage.Coverage {
	if g == nil {
		return usage.Coverage{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	coverage := usage.Coverage{Until: g.listed, LastGap: g.lastGap}
	for _, t := range g.usageSources {
		if !t.live() {
			continue
		}
		if until := t.coveredUntil(); until.Before(coverage.Until) {
			coverage.Until = until
		}
	}
	return coverage
}
