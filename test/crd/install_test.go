// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("The manifests", func() {
	It("install without a warning", func(ctx SpecContext) {
		out, err := cluster.Kubectl(ctx, "apply", "--server-side", "--dry-run=server", "--validate=strict",
			"--field-manager", "controlplane", "-k", "config/default").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		Expect(string(out)).To(ContainSubstring("deployment.apps/apikey-manager serverside-applied (server dry run)"))
		Expect(string(out)).To(ContainSubstring("deployment.apps/apikey-authserver serverside-applied (server dry run)"))
		// Such as that a pod would violate the namespace's pod security standard.
		Expect(string(out)).NotTo(ContainSubstring("Warning"))
	})

	It("of the samples are accepted, and settle", func(ctx SpecContext) {
		apply := func() string {
			GinkgoHelper()
			out, err := cluster.Kubectl(ctx, "apply", "--server-side", "--validate=strict", "--force-conflicts",
				"-k", "config/samples").CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", out)
			Expect(string(out)).NotTo(ContainSubstring("Warning"))
			return string(out)
		}
		DeferCleanup(func(ctx SpecContext) {
			out, err := cluster.Kubectl(ctx, "delete", "organizations,apikeys", "--all", "--all-namespaces").CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", out)
		})
		Expect(apply()).To(ContainSubstring("apikey.auth.hexcovery.io/prod-agent serverside-applied"))

		diff, err := cluster.Kubectl(ctx, "diff", "--server-side", "--force-conflicts", "-k", "config/samples").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", diff)
		Expect(diff).To(BeEmpty())
	})
})
