// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package faults breaks the real product, and checks that what it promises holds:
// three auth servers and two managers, each a process of its own behind a network of
// its own, on a real kube-apiserver and etcd.
//
// A client asks every auth server about every key, all the time, while keys are
// minted, suspended, replaced, retired and revoked. Meanwhile programs are killed and frozen, networks
// cut, servers restarted. Package oracle judges each answer:
//
//   - no request is accepted that was sent after the end of its key was reported as
//     complete, be it the APIKey that is gone, Registered=False with the reason
//     Revoked, or the version that is gone while its APIKey lives on;
//   - no valid key is refused with 401: not the one that is replaced, until somebody asks
//     for its end, and not its successor, from when it is in the Secret;
//   - when all is well again, everything that was asked for comes true, and every
//     auth server decides, within some seconds.
//
// What happens in a round is drawn from a seed, which is printed:
//
//	make test-faults ROUNDS=200 SEED=7
//	go test ./test/faults -args -rounds=20 -seed=7
//
// The same seed gives the same plan, though not the same timing.
//
// The suite is itself tested: make test-faults-mutants builds the product without
// each protective step of package mutation, and fails unless a violation is seen.
package faults

import (
	"context"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/format"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hexcovery/apikey-operator/hack/stack"
)

var (
	rounds = flag.Int("rounds", 0, "how many rounds are drawn; 0 is each kind of fault once")
	seed   = flag.Uint64("seed", 0, "what the rounds are drawn from; 0 is the time")
	// withMutants has the suite tested, in place of the product.
	withMutants = flag.Bool("mutants", false, "see that the suite fails when a protective step is missing")
)

// product is what every spec breaks. It is well again when a spec begins.
var product *world

func TestFaults(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(5 * time.Millisecond)
	// A violation tells the whole story, the end of a log perhaps.
	format.MaxLength = 0
	if *seed == 0 {
		*seed = uint64(time.Now().UnixMilli())
	}
	ctrl.SetLogger(logr.Discard())
	RunSpecs(t, "Faults")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	programs, err := stack.Build(ctx, os.Stdout, "")
	Expect(err).NotTo(HaveOccurred())
	shifted, err := build(ctx, os.Stdout, GinkgoT().TempDir(), shiftedClock()...)
	Expect(err).NotTo(HaveOccurred())
	product, err = newWorld(ctx, os.Stdout, programs)
	Expect(err).NotTo(HaveOccurred())
	product.shiftedServer = shifted.AuthServer
	DeferCleanup(func() { Expect(product.stack.Stop()).To(Succeed()) })
}, NodeTimeout(20*time.Minute))

// begin has users ask the product during one spec.
func begin(ctx context.Context) {
	GinkgoHelper()
	product.begin(0)
	DeferCleanup(product.end)
	Expect(product.prepare(ctx)).To(Succeed())
	Expect(product.settle(ctx)).To(Succeed())
}
