// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// What is on a Secret steers other programs: Kubernetes' own, kubectl and the operator go by
// some names, and the rest is the user's.
var _ = Describe("A name on the Secret", func() {
	places := []string{"labels", "annotations"}
	try := func(ctx SpecContext, place, name string) error {
		return tryCreate(ctx, apiKey(fmt.Sprintf("%s\nsecret: {%s: {%s: x}}", acme, place, name)))
	}

	DescribeTable("is the user's", func(ctx SpecContext, name string) {
		for _, place := range places {
			Expect(try(ctx, place, name)).To(Succeed(), "%s in %s", name, place)
		}
	},
		Entry("with the prefix that Kubernetes recommends to users", "app.kubernetes.io/part-of"),
		Entry("with the prefix of another program below kubernetes.io", "helm.kubernetes.io/x"),
		Entry("with the prefix of another program below k8s.io", "reloader.k8s.io/x"),
		Entry("with a prefix of the user's that ends like a reserved one", "notauth.hexcovery.io/x"),
		Entry("with a prefix of this product that the operator does not use", "hexcovery.io/team"),
		Entry("that is a reserved prefix, and none", "kubernetes.io"),
	)

	DescribeTable("is reserved", func(ctx SpecContext, name string) {
		for _, place := range places {
			Expect(try(ctx, place, name)).To(beRefused("spec.secret."+place+" has a reserved name: names under auth.hexcovery.io, "), "%s in %s", name, place)
		}
	},
		Entry("under kubernetes.io", "kubernetes.io/x"),
		Entry("under k8s.io", "k8s.io/x"),
		Entry("under kubectl.kubernetes.io, where kubectl keeps what was applied", "kubectl.kubernetes.io/last-applied-configuration"),
		Entry("under auth.hexcovery.io", "auth.hexcovery.io/x"),
		Entry("below auth.hexcovery.io", "restart.auth.hexcovery.io/x"),
	)

	It("may be previous-api-key for an entry, and not api-key", func(ctx SpecContext) {
		entry := func(name string) error {
			return tryCreate(ctx, apiKey(fmt.Sprintf("%s\nsecret: {data: {%s: x}}", acme, name)))
		}
		Expect(entry("previous-api-key")).To(Succeed())
		Expect(entry("api-key")).To(beRefused("spec.secret.data cannot set api-key: it always holds the key itself"))
	})
})
