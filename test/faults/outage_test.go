// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("An outage of the API server", func() {
	if *withMutants {
		return
	}
	BeforeEach(func(ctx SpecContext) {
		begin(ctx)
		product.ledger.Calm()
	})

	It("that is shorter than the bound changes nothing for valid keys", func(ctx SpecContext) {
		// Nothing is Uncertain here, and the ledger is calm: whatever is not decided as
		// it should be is a violation. Dead keys are others' business: nobody asks about
		// one, since after some silence an unknown key is answered 503.
		lasts := staleness - renewal - 300*time.Millisecond
		before := product.ledger.Counts()
		Expect(product.stack.ControlPlane.PauseAPIServer()).To(Succeed())
		DeferCleanup(product.stack.ControlPlane.ResumeAPIServer)
		Expect(wait(ctx, lasts)).To(Succeed())
		Expect(product.stack.ControlPlane.ResumeAPIServer()).To(Succeed())
		Expect(wait(ctx, staleness)).To(Succeed())
		after := product.ledger.Counts()
		fmt.Fprintf(os.Stdout, "faults: outage of %.1f s (bound %s): %d answers about valid keys until %s after it, all 200\n",
			lasts.Seconds(), staleness, after.Accepted-before.Accepted, staleness)
		Expect(product.ledger.Violations()).To(BeEmpty())
		Expect(after.Total() - before.Total()).To(Equal(after.Accepted - before.Accepted))
	}, NodeTimeout(time.Minute))

	It("that is longer fences every auth server, and each serves again when it is over", func(ctx SpecContext) {
		product.ledger.Fault()
		pids := processIDs()
		began := time.Now()
		Expect(product.stack.ControlPlane.PauseAPIServer()).To(Succeed())
		DeferCleanup(product.stack.ControlPlane.ResumeAPIServer)
		undecided := awaitEverywhere(ctx, http.StatusServiceUnavailable, 2*staleness)
		Expect(wait(ctx, countedOut+time.Second-time.Since(began))).To(Succeed())
		expectEverywhere(ctx, http.StatusServiceUnavailable)

		ended := time.Now()
		Expect(product.stack.ControlPlane.ResumeAPIServer()).To(Succeed())
		resumed := awaitEverywhere(ctx, http.StatusOK, 10*time.Second)
		fmt.Fprintf(os.Stdout, "faults: outage of %.1f s (bound %s): every auth server answered 503 %.2f s after it began, and 200 %.2f s after it ended\n",
			ended.Sub(began).Seconds(), staleness, undecided.Sub(began).Seconds(), resumed.Sub(ended).Seconds())
		Expect(undecided.Sub(began)).To(BeNumerically("<=", staleness+100*time.Millisecond))
		Expect(resumed.Sub(ended)).To(BeNumerically("<=", 3*time.Second))
		Expect(processIDs()).To(Equal(pids), "an auth server was restarted")
		Expect(product.settle(ctx)).To(Succeed())
		Expect(product.ledger.Violations()).To(BeEmpty())
	}, NodeTimeout(time.Minute))
})

// awaitEverywhere waits until every auth server has answered so about every valid key,
// and says when that was.
func awaitEverywhere(ctx context.Context, status int, within time.Duration) time.Time {
	GinkgoHelper()
	for _, server := range product.stack.AuthServers {
		for _, s := range product.ring.valid() {
			Eventually(func() int { return product.askOnce(ctx, server, s) }).WithContext(ctx).WithTimeout(within).
				Should(Equal(status), "%s, %s", server.Name, s.Name)
		}
	}
	return time.Now()
}

// expectEverywhere is awaitEverywhere for what is so already.
func expectEverywhere(ctx context.Context, status int) {
	GinkgoHelper()
	for _, server := range product.stack.AuthServers {
		for _, s := range product.ring.valid() {
			Expect(product.askOnce(ctx, server, s)).To(Equal(status), "%s, %s", server.Name, s.Name)
		}
	}
}

// processIDs are those of the auth servers.
func processIDs() (ids []int) {
	for _, server := range product.stack.AuthServers {
		ids = append(ids, server.PID())
	}
	return ids
}
