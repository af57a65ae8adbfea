// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptrace"
	"os"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/hack/stack"
	"github.com/hexcovery/apikey-operator/test/faults/oracle"
)

var _ = Describe("With one auth server frozen", func() {
	if *withMutants {
		return
	}
	// keys is how many are revoked before, and as many while it is.
	const keys = 25

	It("every other one refuses a revoked key as soon as ever, and completion is reported when that one is fenced", func(ctx SpecContext) {
		begin(ctx)
		subjects := mintMany(ctx, keys)
		frozenServer, healthy := product.servers[0], product.stack.AuthServers[1:]
		leaseName := "authserver-" + frozenServer.PodUID()
		var before []float64
		for _, s := range mintMany(ctx, keys) {
			before = append(before, revokeAndProbe(ctx, s, healthy)...)
			s.busy.Store(false)
		}
		slices.Sort(before)

		product.ledger.Fault()
		Expect(frozenServer.Pause()).To(Succeed())
		frozenAt := time.Now()
		DeferCleanup(frozenServer.Resume)

		var refused []float64
		reported := make(chan time.Duration, keys)
		for _, s := range subjects {
			refused = append(refused, revokeAndProbe(ctx, s, healthy)...)
			product.deeds.Go(func() {
				defer GinkgoRecover()
				at, err := s.await(ctx, func(seen sighting) bool { return seen.gone })
				Expect(err).NotTo(HaveOccurred())
				s.MarkAt(at, oracle.Dead)
				s.busy.Store(false)
				reported <- at.Sub(frozenAt)
			})
		}
		Expect(time.Since(frozenAt)).To(BeNumerically("<", staleness-renewal), "this machine is too slow for this spec")

		named := awaitNamed(ctx, subjects[0], leaseName)
		product.deeds.Wait()
		first, last := slowest(reported, keys)
		slices.Sort(refused)
		fmt.Fprintf(os.Stdout, "faults: one of 3 frozen: %d keys refused by the others %.1f ms (p50) and %.1f ms (p99) after DELETE was answered, before the freeze %.1f and %.1f ms; completion reported %.2f to %.2f s after the freeze (bound %s); the status named it after %.2f s\n",
			keys, percentile(refused, 50), percentile(refused, 99), percentile(before, 50), percentile(before, 99),
			first.Seconds(), last.Seconds(), countedOut+soon, named.Sub(frozenAt).Seconds())
		// Its last renewal was at most one interval before the freeze.
		Expect(first).To(BeNumerically(">=", staleness-renewal), "reported before it is fenced")
		Expect(last).To(BeNumerically("<=", countedOut+soon))
		// How many milliseconds that are depends on what else this machine does.
		Expect(percentile(refused, 50)).To(BeNumerically("<=", 2*percentile(before, 50)+5))

		// What waits for an answer of it since it was frozen is judged now.
		Expect(frozenServer.Resume()).To(Succeed())
		Expect(product.settle(ctx)).To(Succeed())
		Expect(product.ledger.Violations()).To(BeEmpty())
	}, NodeTimeout(2*time.Minute))
})

// renewal is how often an auth server renews its Lease.
const renewal = suspicion / 3

func mintMany(ctx context.Context, count int) []*subject {
	GinkgoHelper()
	var subjects []*subject
	for range count {
		s, err := product.mint(ctx)
		Expect(err).NotTo(HaveOccurred())
		s.busy.Store(true)
		subjects = append(subjects, s)
	}
	return subjects
}

// revokeAndProbe deletes a key while these auth servers are asked about it each
// millisecond, and returns how many milliseconds after the answer to DELETE each
// refused it.
func revokeAndProbe(ctx context.Context, s *subject, servers []*stack.AuthServer) []float64 {
	GinkgoHelper()
	secret := &corev1.Secret{}
	Expect(product.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: s.Name}, secret)).To(Succeed())
	var questions []*http.Request
	for _, server := range servers {
		question, err := server.Question(ctx, http.MethodPost, "/api/v1/dsl", string(secret.Data[v1alpha1.SecretKeyAPIKey]))
		Expect(err).NotTo(HaveOccurred())
		questions = append(questions, question)
	}
	probe := stack.StartProbe(ctx, questions...)
	defer probe.Stop()
	Expect(probe.Accepted()).To(Succeed())

	var answered time.Time
	trace := &httptrace.ClientTrace{GotFirstResponseByte: func() { answered = time.Now() }}
	s.Mark(oracle.Uncertain)
	key := &v1alpha1.APIKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: s.Name}}
	Expect(product.admin.Delete(httptrace.WithClientTrace(ctx, trace), key)).To(Succeed())
	refusals, err := probe.Refused()
	Expect(err).NotTo(HaveOccurred())
	var after []float64
	for _, refusal := range refusals {
		after = append(after, float64(refusal.At.Sub(answered))/float64(time.Millisecond))
	}
	return after
}

// awaitNamed waits until the status of an APIKey names an auth server as who is
// waited for, and says when that was seen.
func awaitNamed(ctx context.Context, s *subject, lease string) time.Time {
	GinkgoHelper()
	at, err := s.await(ctx, func(seen sighting) bool {
		if seen.gone || seen.key == nil {
			return seen.gone
		}
		c := meta.FindStatusCondition(seen.key.Status.Conditions, v1alpha1.ConditionRegistered)
		return c != nil && c.Reason == v1alpha1.ReasonRevoking
	})
	Expect(err).NotTo(HaveOccurred())
	last := s.last()
	Expect(last.gone).To(BeFalse(), "it is gone, and its status never said who was waited for")
	c := meta.FindStatusCondition(last.key.Status.Conditions, v1alpha1.ConditionRegistered)
	Expect(c.Message).To(MatchRegexp(`^Waiting for 1 of 3 auth servers to drop the key: %s( \(last renewed [0-9TZ:-]+\))?\.$`, lease))
	serving := meta.FindStatusCondition(last.key.Status.Conditions, v1alpha1.ConditionServing)
	Expect(serving.Status).To(Equal(metav1.ConditionUnknown), "the frozen one may still accept it")
	return at
}

func slowest(durations <-chan time.Duration, count int) (least, most time.Duration) {
	least = math.MaxInt64
	for range count {
		d := <-durations
		least, most = min(least, d), max(most, d)
	}
	return least, most
}

// percentile is by the nearest rank, of what is sorted.
func percentile(sorted []float64, p float64) float64 {
	return sorted[int(math.Ceil(p/100*float64(len(sorted))))-1]
}
