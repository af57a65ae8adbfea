// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// A rule that cannot be evaluated refuses each write, also one that leaves alone what the
// rule is about; only one that evaluates to false lets an unchanged value pass. So a rule
// that fails for what an earlier schema has stored would keep the manager from ending its
// key, and everybody from deleting it.
var _ = Describe("An APIKey that an earlier schema has accepted", func() {
	DescribeTable("can be reported on, suspended, repaired and deleted", func(ctx SpecContext, more string) {
		bad := acme + "\n" + more
		key := apiKey(bad)
		withoutRules(ctx, "apikeys", func() { create(ctx, key) })
		Expect(tryCreate(ctx, apiKey(bad))).To(MatchError(apierrors.IsInvalid, "invalid"))

		merge := func(as client.Client, patch string) error {
			return as.Patch(ctx, key, client.RawPatch(types.MergePatchType, []byte(patch)))
		}
		Expect(merge(manager, `{"metadata":{"finalizers":["`+v1alpha1.Finalizer+`"]}}`)).To(Succeed())
		Expect(manager.Status().Patch(ctx, key, client.RawPatch(types.MergePatchType, []byte(`{"status":{"keyID":"0123456789ab"}}`)))).To(Succeed())
		Expect(merge(admin, `{"spec":{"suspend":true}}`)).To(Succeed())
		Expect(merge(admin, `{"spec":{"ttl":null,"expirationTime":null,"rotation":null}}`)).To(Succeed())
		Expect(admin.Delete(ctx, key)).To(Succeed())
		Expect(merge(manager, `{"metadata":{"finalizers":null}}`)).To(Succeed())
	},
		Entry("with a time that Go does not read", "expirationTime: 2027-01-01t00:00:00z"),
		Entry("with a day that does not exist", "expirationTime: 2027-02-30T00:00:00Z"),
		Entry("with a ttl in days", "ttl: 30 days"),
		Entry("with durations of other forms", "rotation: {interval: weekly, overlap: {min: 99999999999999999999h, idle: P1D, max: ''}}"),
	)
})

var _ = Describe("An Organization that an earlier schema has accepted", func() {
	It("can be reported on, suspended, repaired and deleted", func(ctx SpecContext) {
		object := organization("maxKeyAge: 90 days")
		withoutRules(ctx, "organizations", func() { create(ctx, object) })
		Expect(manager.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(`{"status":{"id":"acme"}}`)))).To(Succeed())
		Expect(admin.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspend":true}}`)))).To(Succeed())
		Expect(admin.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"maxKeyAge":"2160h"}}`)))).To(Succeed())
		Expect(admin.Delete(ctx, object)).To(Succeed())
	})
})

// withoutRules lets act store what only CEL rules, patterns and formats refuse.
func withoutRules(ctx context.Context, resource string, act func()) {
	GinkgoHelper()
	definition := &unstructured.Unstructured{}
	definition.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	Expect(admin.Get(ctx, client.ObjectKey{Name: resource + "." + v1alpha1.GroupVersion.Group}, definition)).To(Succeed())
	strict := definition.DeepCopy().Object["spec"]
	dropRules(definition.Object["spec"])
	probe := apiKey(acme + "\nttl: 1d")
	if resource == "organizations" {
		probe = organization("maxKeyAge: 1d")
	}
	Expect(admin.Update(ctx, definition)).To(Succeed())
	Eventually(func() error { return tryCreate(ctx, probe.DeepCopy()) }).Should(Succeed())
	act()
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(definition), definition)).To(Succeed())
	definition.Object["spec"] = strict
	Expect(admin.Update(ctx, definition)).To(Succeed())
	Eventually(func() error { return tryCreate(ctx, probe.DeepCopy()) }).Should(MatchError(apierrors.IsInvalid, "invalid"))
}

// dropRules takes the rules out of a schema, at any depth.
func dropRules(node any) {
	switch node := node.(type) {
	case map[string]any:
		for _, rule := range []string{"x-kubernetes-validations", "pattern", "format"} {
			if _, property := node[rule].(map[string]any); !property {
				delete(node, rule)
			}
		}
		for _, child := range node {
			dropRules(child)
		}
	case []any:
		for _, child := range node {
			dropRules(child)
		}
	}
}
