// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tenants attacks the product as one of its tenants would: with the rights that
// the roles edit and apikey-editor give in one namespace, on a real control plane, and
// against the real programs under their own rights. Each spec is an attack, and says what
// the others see meanwhile:
//
//   - a key that somebody else uses is accepted by every auth server, all the time;
//   - one that is suspended, and one that is deleted, is refused within a second;
//   - a new one becomes Ready.
//
// What must hold is what README.md, docs/security.md and docs/revocation.md say. Objects
// are YAML and maps, and not Go types: an attacker writes what the types cannot express,
// and what reads it here must not depend on the code that is attacked.
package tenants

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/hack/controlplane"
	"github.com/hexcovery/apikey-operator/hack/process"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

const (
	// replicas is how many auth servers there are: one that is attacked, and one that
	// some specs replace.
	replicas = 2
	// second is how soon a key is refused that was suspended or deleted.
	second = time.Second
	// stopTimeout is when a program is killed that is told to end.
	stopTimeout = 30 * time.Second
	// memoryLimit is what the programs have to live with, however much is stored: half of
	// what config/ gives them. softLimit is what the Go runtime is told then.
	memoryLimit = 256 << 20
	softLimit   = "GOMEMLIMIT=230MiB"
)

var (
	product *stack.Stack
	plane   *controlplane.ControlPlane
	admin   client.WithWatch
	// bystanders are the tenant that every attack is to leave alone.
	bystanders *victim
)

func TestTenants(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	ctrl.SetLogger(logr.Discard())
	RunSpecs(t, "Tenants")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	product, err = stack.Start(ctx, stack.Options{AuthServers: replicas, Log: os.Stderr})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(product.Stop()).To(Succeed()) })
	plane = product.ControlPlane
	for _, p := range product.Processes() {
		p.Change(func(l *process.Launch) { l.Env = append(l.Env, softLimit) })
	}
	admin, err = client.NewWithWatch(plane.Admin(), client.Options{Scheme: scheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	bystanders = newVictim(ctx)
	DeferCleanup(bystanders.stop)
}, NodeTimeout(20*time.Minute))

// measured is the label of specs whose times mean something on a machine that does nothing
// else. make test runs them by themselves.
const measured = "measured"

// disturbed: a spec has failed, and what happened in it is to be no part of the next one.
var disturbed bool

var _ = BeforeEach(func(ctx SpecContext) {
	if disturbed {
		Expect(startAnew(ctx, product.Processes()...)).To(Succeed())
		bystanders.awaitServed(ctx)
		disturbed = false
	}
	bystanders.forget()
}, NodeTimeout(4*time.Minute))

var _ = AfterEach(func() {
	problems := bystanders.disturbances()
	disturbed = CurrentSpecReport().Failed() || len(problems) > 0
	Expect(problems).To(BeEmpty(), "a key of another tenant was not accepted")
})

// startAnew ends programs, in order if they can, and starts them again. An auth server
// takes over the Lease that it has left behind: it is in the same pod.
func startAnew(ctx context.Context, processes ...*stack.Process) error {
	defer bystanders.excuse(processes...)()
	for _, process := range processes {
		ending, cancel := context.WithTimeout(ctx, stopTimeout)
		if err := process.Stop(ending); err != nil {
			fmt.Fprintf(os.Stderr, "tenants: %v\n", err)
		}
		cancel()
		if err := process.Start(ctx); err != nil {
			return fmt.Errorf("another %s: %w", process.Name, err)
		}
	}
	return nil
}

func clientOf(config *rest.Config) client.Client {
	GinkgoHelper()
	config.QPS = -1
	c, err := client.New(config, client.Options{Scheme: scheme.Scheme, Mapper: admin.RESTMapper()})
	Expect(err).NotTo(HaveOccurred())
	return c
}
