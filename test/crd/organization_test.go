// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var _ = Describe("Organization", func() {
	DescribeTable("accepts", func(ctx SpecContext, spec string) {
		Expect(tryCreate(ctx, organization(spec))).To(Succeed())
	},
		Entry("an empty spec", "{}"),
		Entry("an id", "id: Tenant_1.eu-west"),
		Entry("an id that begins with a dash", "id: -tenant"),
		Entry("an id of 150 characters", "id: "+chars(150)),
		Entry("a display name of 256 characters", "displayName: "+chars(256)),
		Entry("a display name in any script", "displayName: Ünïcode 株式会社 | & Co."),
		Entry("a namespace by its name", "namespaces: {selector: {matchLabels: {kubernetes.io/metadata.name: team-acme}}}"),
		Entry("namespaces by their names", "namespaces: {selector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [team-acme, a]}]}}"),
		Entry("labels of namespaces", "namespaces: {selector: {matchLabels: {team: acme}}}"),
		Entry("expressions on labels of namespaces", "namespaces: {selector: {matchExpressions: [{key: team, operator: In, values: [a, b]}, {key: x, operator: Exists}]}}"),
		Entry("every namespace", "namespaces: {selector: {}}"),
		Entry("a selector that cannot be read, which the manager reports", "namespaces: {selector: {matchExpressions: [{key: team, operator: Like}]}}"),
		Entry("each scope", "scopes: [ingest, query, annotations, heartbeats]"),
		Entry("suspension", "suspend: true"),
		Entry("the shortest age of keys", "maxKeyAge: 1h"),
		Entry("the longest age of keys", "maxKeyAge: 87840h"),
	)

	DescribeTable("refuses", func(ctx SpecContext, spec, message string) {
		Expect(tryCreate(ctx, organization(spec))).To(beRefused(message))
	},
		Entry("an empty id", "id: ''", "spec.id in body should be at least 1 chars long"),
		Entry("an id of 151 characters", "id: "+chars(151), "spec.id: Too long: may not be more than 150"),
		Entry("an id of two tenants", "id: acme|globex", "spec.id in body should match"),
		Entry("an id that is a path", "id: ../acme", "spec.id in body should match"),
		Entry("an id that begins with a dot", "id: .acme", "spec.id in body should match"),
		Entry("an id with a space", "id: a b", "spec.id in body should match"),
		Entry("an id that ends a header's line", `id: "acme\n"`, "spec.id in body should match"),
		Entry("an id beyond ASCII", "id: äcme", "spec.id in body should match"),
		Entry("a display name of 257 characters", "displayName: "+chars(257), "spec.displayName: Too long: may not be more than 256"),
		Entry("a scope that does not exist", "scopes: [admin]", `spec.scopes[0]: Unsupported value: "admin": supported values: "ingest", "query", "annotations", "heartbeats"`),
		Entry("a scope twice", "scopes: [query, query]", `spec.scopes[1]: Duplicate value: "query"`),
		Entry("no scope at all", "scopes: []", "spec.scopes in body should have at least 1 items"),
		Entry("a shorter age of keys", "maxKeyAge: 59m", "spec.maxKeyAge is not between 1h and 87840h (ten years): write it as 2160h"),
		Entry("a longer age of keys", "maxKeyAge: 87841h", "spec.maxKeyAge is not between 1h and 87840h"),
		Entry("five scopes", "scopes: [ingest, query, annotations, heartbeats, ingest]", "spec.scopes: Too many: 5: must have at most 4 items"),
	)

	It("needs an id when its name is too long for one", func(ctx SpecContext) {
		long := organization("{}")
		long.SetName(chars(151))
		Expect(tryCreate(ctx, long)).To(beRefused("metadata.name is longer than the 150 characters of an id: set spec.id"))
		Expect(unstructured.SetNestedField(long.Object, "short", "spec", "id")).To(Succeed())
		Expect(tryCreate(ctx, long)).To(Succeed())
	})

	It("refuses to be without a spec", func(ctx SpecContext) {
		empty := organization("{}")
		delete(empty.Object, "spec")
		Expect(tryCreate(ctx, empty)).To(beRefused("spec: Required value"))
	})

	It("adds nothing to what was applied, so that GitOps sees no difference", func(ctx SpecContext) {
		applied := create(ctx, organization("namespaces: {selector: {}}"))
		Expect(applied.Object).To(HaveKeyWithValue("spec", fields("namespaces: {selector: {}}")))
	})

	DescribeTable("can change", func(ctx SpecContext, before, after string) {
		org := create(ctx, organization(before))
		Expect(tryChange(ctx, org, after)).To(Succeed())
	},
		Entry("its display name", "displayName: Acme", "displayName: Acme Corporation"),
		Entry("its namespaces", "namespaces: {selector: {matchLabels: {a: b}}}", "namespaces: {selector: {}}"),
		Entry("its scopes", "scopes: [ingest]", "{}"),
		Entry("its suspension", "{}", "suspend: true"),
		Entry("other fields beside its id", "id: acme", "{id: acme, suspend: true}"),
	)

	It("may say its default id, and stop saying it", func(ctx SpecContext) {
		org := create(ctx, named(organization("{}"), "says-its-id"))
		Expect(tryChange(ctx, org, "id: says-its-id")).To(Succeed())
		org = create(ctx, named(organization("id: says-its-id-2"), "says-its-id-2"))
		Expect(tryChange(ctx, org, "{}")).To(Succeed())
	})

	DescribeTable("cannot change", func(ctx SpecContext, before, after string) {
		org := create(ctx, organization(before))
		Expect(tryChange(ctx, org, after)).To(beRefused("spec.id: Forbidden: spec.id is immutable: data is stored under it; create another Organization instead"))
	},
		Entry("its id", "id: acme", "id: globex"),
		Entry("its id from the default", "{}", "id: globex"),
		Entry("its id to the default", "id: acme", "{}"),
	)

	It("shows what people look for, under its short name", func(ctx SpecContext) {
		org := create(ctx, named(organization("suspend: true"), "shown"))
		org.Object["status"] = fields(`{id: globex-7, conditions: [{type: Ready, status: "True", reason: Suspended, message: "", lastTransitionTime: 2026-01-02T03:04:06Z}]}`)
		Expect(manager.Status().Update(ctx, org)).To(Succeed())
		out, err := cluster.Kubectl(ctx, "get", "hxorg").CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		Expect(string(out)).To(MatchRegexp(`NAME +ID +READY +STATUS +AGE`))
		Expect(string(out)).To(MatchRegexp(`shown +globex-7 +True +Suspended +\d+[ydhms]`))
	})
})
