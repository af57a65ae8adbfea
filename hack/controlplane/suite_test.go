// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// helperVariable makes the test binary start a control plane and wait for its death: see the spec about SIGKILL.
const helperVariable = "CONTROLPLANE_TEST_HELPER"

const widgets = "hack/controlplane/testdata/widgets"

var (
	plane *ControlPlane
	admin client.Client
)

func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) != "" {
		startAndWait()
		return
	}
	os.Exit(m.Run())
}

func startAndWait() {
	cp, err := Start(context.Background(), Options{Log: os.Stderr, WithoutControllerManager: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(cp.Dir())
	select {}
}

func TestControlPlane(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "Control plane")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	began := time.Now()
	plane, err = Start(ctx, Options{AuditLog: true, Apply: []string{widgets}, Log: os.Stdout})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(plane.Stop()).To(Succeed()) })
	fmt.Printf("a control plane with a custom resource boots in %s\n", time.Since(began))
	admin, err = newClient(plane.Admin())
	Expect(err).NotTo(HaveOccurred())
})
