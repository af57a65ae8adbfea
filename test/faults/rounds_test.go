// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("The product", func() {
	if *withMutants {
		return
	}
	It("keeps its promises through faults", func(ctx SpecContext) {
		begin(ctx)
		plan := plan(*seed, *rounds)
		fmt.Fprintf(os.Stdout, "faults: %d rounds, -seed=%d\n", len(plan), *seed)
		began := time.Now()
		for _, r := range plan {
			course, err := product.play(ctx, r)
			report(r, course)
			if err != nil {
				product.ledger.Violate("%v", err)
			}
			Expect(product.ledger.Violations()).To(BeEmpty(), "-seed=%d, round %d: %v", *seed, r.number, r.faults)
		}
		counts := product.ledger.Counts()
		fmt.Fprintf(os.Stdout, "faults: %d rounds in %.0f s: no violation in %d answers (%d accepted, %d refused, %d undecided, %d none; %d took more than a second); %d keys minted, %d revoked, %d suspended, %d replaced and retired\n",
			len(plan), time.Since(began).Seconds(), counts.Total(), counts.Accepted, counts.Refused, counts.Undecided, counts.None, counts.Late,
			product.minted.Load(), product.removed.Load(), product.suspended.Load(), product.retired.Load())
	}, NodeTimeout(3*time.Hour))
})

// plan draws so many rounds; for none, a short form: each kind of fault, three at
// once.
func plan(seed uint64, count int) (plan []round) {
	for number := range count {
		plan = append(plan, newRound(seed, number))
	}
	if count > 0 {
		return plan
	}
	const together = 3
	all := slices.Compact(slices.Clone(kinds))
	rounds := (len(all) + together - 1) / together
	for i := range rounds {
		var some []kind
		// Neighbors are much alike, or cannot happen at once.
		for j := i; j < len(all); j += rounds {
			some = append(some, all[j])
		}
		plan = append(plan, newRound(seed, i, some...))
	}
	return plan
}

// report prints one line about a round.
func report(r round, c course) {
	var faults []string
	for _, f := range r.faults {
		faults = append(faults, f.String())
	}
	fmt.Fprintf(os.Stdout, "faults: round %d: %s; all had come true at %.1f s, every auth server decided at %.1f s\n",
		r.number, strings.Join(faults, ", "), c.deeds.Seconds(), c.settled.Seconds())
}
