// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/hexcovery/apikey-operator/hack/process"
	"github.com/hexcovery/apikey-operator/hack/stack"
	"github.com/hexcovery/apikey-operator/test/mutation"
)

const (
	// attempts bounds how many rounds a mutant may pass before it counts as one that
	// this suite cannot tell from the product. One is mostly enough.
	attempts = 12
	// controls is how many of the same rounds the product itself passes.
	controls = 3
)

// mutant is the product without a protective step, and the rounds that are aimed at
// where the step matters.
type mutant struct {
	step string
	// out takes the step out, where it is none of package mutation.
	out *mutation.Mutation
	aim func() round
	// stops: without the step nothing is accepted that must not be, but what users ask for
	// does not come true.
	stops bool
	// flags are more flags of the auth servers.
	flags []string
	// changes are made to the product and to the mutant alike; more is for the mutant.
	changes, more []mutation.Mutation
	// askers is how many more there are.
	askers int
}

// aimedAt is a round of one fault, in which a key is deleted when it begins.
func aimedAt(k kind, lasts time.Duration) func() round {
	return func() round {
		return round{
			faults: []fault{{kind: k, at: 100 * time.Millisecond, lasts: lasts}},
			actions: []action{
				{deed: deletes, at: 0}, {deed: deletes, at: 110 * time.Millisecond}, {deed: deletes, at: 150 * time.Millisecond}, {deed: deletes, at: 400 * time.Millisecond},
			},
		}
	}
}

// rotations is a round in which keys are replaced, and those that they replace are
// retired, while an auth server is frozen for a moment.
func rotations() round {
	r := round{faults: []fault{{kind: frozen, at: 100 * time.Millisecond, lasts: suspicion}}}
	for i := range 3 {
		r.actions = append(r.actions, action{deed: rotates, at: time.Duration(i) * 100 * time.Millisecond, choice: uint64(i), lasts: 200 * time.Millisecond})
	}
	return r
}

// mutants are those of the protective steps that matter to clients.
func mutants() []mutant {
	return []mutant{
		{step: "fence", aim: aimedAt(stunned, reportedBy)},
		{
			step: "session", aim: aimedAt(stunned, reportedBy),
			// Between a look-up in one session and the check of the next one's deadline
			// lie nanoseconds, in which a session would have to end, and the next to begin.
			// Here it is longer, with the step and without.
			changes: []mutation.Mutation{stretch("internal/registry/session.go", "	at := now()\n")},
			more:    []mutation.Mutation{stretch("internal/registry/replica.go", "	at := r.config.Clock.Now()\n")},
			askers:  8,
		},
		{step: "withdrawal-of-version", aim: rotations},
		{step: "zero-before-list", aim: aimedAt(late, time.Second)},
		{step: "clock-before-list", aim: aimedAt(managerWaits, countedOut+300*time.Millisecond)},
		{step: "live-list", aim: aimedAt(stale, reportedBy+time.Second)},
		{
			step: "late-renewal", aim: aimedAt(renewsLate, 0),
			// A renewal is given up after a second at least. For one to be answered after
			// the next deadline, and that when this replica was counted out, the bounds
			// have to be longer.
			flags: []string{fmt.Sprintf("--max-staleness=%s", longStaleness), fmt.Sprintf("--suspect-after=%s", longStaleness/2)},
		},
		{
			step: "decoding object by object", aim: aimedAt(poisoned, time.Second), stops: true,
			out: &mutation.Mutation{
				Name: "decoding", File: "api/v1alpha1/decode.go",
				Old: "	if err != nil {\n		*k = APIKey{}\n",
				New: "	if err != nil {\n		return err\n	}\n	if err != nil {\n		*k = APIKey{}\n",
			},
		},
	}
}

// taken is the step, taken out.
func (m *mutant) taken() mutation.Mutation {
	GinkgoHelper()
	if m.out != nil {
		return *m.out
	}
	step, err := mutation.Named(m.step)
	Expect(err).NotTo(HaveOccurred())
	return step
}

// stretch has a program wait where it has looked a key up and not yet looked at the
// clock.
func stretch(file, before string) mutation.Mutation {
	const lookup = "	entry := s.index.lookup(digest)\n"
	return mutation.Mutation{Name: "stretch", File: file, Old: lookup + before, New: lookup + "	time.Sleep(600 * time.Millisecond)\n" + before}
}

func describeMutants() {
	for _, m := range mutants() {
		It("sees that "+m.step+" is missing", func(ctx SpecContext) {
			step := m.taken()

			if len(m.changes)+len(m.flags) > 0 {
				programs, err := build(ctx, os.Stdout, GinkgoT().TempDir(), m.changes...)
				Expect(err).NotTo(HaveOccurred())
				run(ctx, programs, m.flags)
			}
			for range controls {
				_, violations := playAimed(ctx, m)
				Expect(violations).To(BeEmpty(), "the product itself")
			}

			programs, err := build(ctx, os.Stdout, GinkgoT().TempDir(), append(append([]mutation.Mutation{step}, m.changes...), m.more...)...)
			Expect(err).NotTo(HaveOccurred())
			run(ctx, programs, m.flags)
			for attempt := 1; attempt <= attempts; attempt++ {
				took, violations := playAimed(ctx, m)
				if len(violations) > 0 {
					fmt.Fprintf(os.Stdout, "faults: without %s: seen in round %d, after %.1f s: %s\n", m.step, attempt, took.Seconds(), violations[0])
					return
				}
			}
			Fail(fmt.Sprintf("without %s: no violation in %d rounds", m.step, attempts))
		}, NodeTimeout(20*time.Minute))
	}
}

var _ = Describe("The suite", func() {
	if *withMutants {
		describeMutants()
	}
})

// run has every program end, and these run in their place, until the spec ends.
func run(ctx context.Context, programs stack.Programs, flags []string) {
	GinkgoHelper()
	change := func(m *machine, path string, flags []string) {
		var before process.Launch
		m.Change(func(l *process.Launch) {
			before = *l
			l.Path, l.Args = path, append(l.Args, flags...)
		})
		Expect(m.start(ctx)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			m.Change(func(l *process.Launch) { *l = before })
			Expect(m.start(ctx)).To(Succeed())
		})
	}
	for _, m := range product.servers {
		change(m, programs.AuthServer, flags)
	}
	for _, m := range product.managers {
		change(m, programs.Manager, nil)
	}
}

// playAimed plays one round, and returns the first violation of the guarantee. What
// else a mutant does wrong is not what it is here for.
func playAimed(ctx context.Context, m mutant) (took time.Duration, violations []string) {
	GinkgoHelper()
	product.begin(m.askers)
	defer product.end()
	Expect(product.prepare(ctx)).To(Succeed())
	began := time.Now()
	_, err := product.play(ctx, m.aim())
	for _, v := range product.ledger.Violations() {
		if strings.Contains(v, "ACCEPTED") {
			violations = append(violations, v)
		}
	}
	switch {
	case err == nil || len(violations) > 0:
	case m.stops:
		violations = append(violations, err.Error())
	default:
		Expect(err).NotTo(HaveOccurred())
	}
	return time.Since(began), violations
}
