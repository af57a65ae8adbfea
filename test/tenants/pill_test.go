// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package tenants

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("An APIKey that the programs cannot read", func() {
	DescribeTable("stops nobody else, in a namespace that no Organization permits, with", func(ctx SpecContext, expirationTime string, finalizers ...string) {
		mallory := newTenant(ctx)
		pill := mallory.key("pill", "")
		Expect(unstructured.SetNestedField(pill.Object, expirationTime, "spec", "expirationTime")).To(Succeed())
		pill.SetFinalizers(finalizers)
		// It is refused, or it hurts nobody.
		if err := mallory.as.Create(ctx, pill); err != nil {
			Expect(err).To(MatchError(errors.IsInvalid, "refused by the schema"))
		}
		bystanders.live(ctx)
	},
		Entry("a time in lower case", "2027-01-01t00:00:00z"),
		Entry("rubbish after a time", "2027-01-01T00:00:00Ztrash"),
		Entry("a time zone that does not exist", "2027-01-01T00:00:00+99:99"),
		Entry("a time in lower case, and a finalizer of the attacker's own", "2027-01-01t00:00:00z", "mallory.example/forever"),
	)

	It("stops nobody else if an earlier schema has accepted it, and says which one it is", func(ctx SpecContext) {
		restore := relax(ctx)
		mallory := newTenant(ctx)
		pills := []*unstructured.Unstructured{}
		for name, spec := range map[string]string{
			"time": "expirationTime: tomorrow", "duration": "ttl: soon", "flag": "suspend: perhaps", "part": "rotation: every day",
		} {
			pill := mallory.key("pill-"+name, spec)
			pill.SetFinalizers([]string{"mallory.example/forever"})
			// The policies that stamp objects learn of another schema some time after it.
			Eventually(func() error { return mallory.as.Create(ctx, pill) }).Should(Succeed())
			pills = append(pills, pill)
		}
		bystanders.live(ctx)
		restore(ctx)
		bystanders.live(ctx)

		By("starting the programs anew, which read everything there is")
		Expect(startAnew(ctx, product.AuthServers[1].Process, product.Manager.Process)).To(Succeed())
		bystanders.live(ctx)

		By("looking for who it is")
		for _, pill := range pills {
			Eventually(func(g Gomega) {
				g.Expect(refresh(ctx, pill)).To(Succeed())
				status, _, message := condition(pill, "Ready")
				g.Expect(status).To(Equal("False"), "%s has no condition", pill.GetName())
				g.Expect(message).To(ContainSubstring("spec."))
				g.Expect(notes(ctx, pill)).To(ContainElement(ContainSubstring("spec.")), "%s has no event", pill.GetName())
				g.Expect(logOf(product.Manager.LogPath)).To(ContainSubstring(pill.GetName()))
			}).Should(Succeed())
		}
		page := page(ctx, product.Manager.Metrics)
		Expect(page).To(MatchRegexp(`apikey_manager_refused_objects\{[^}]*kind="APIKey"[^}]*\} [1-9]`))

		By("deleting it")
		for _, pill := range pills {
			Expect(mallory.as.Delete(ctx, pill.DeepCopy())).To(Succeed())
			Eventually(func() error {
				return client.IgnoreNotFound(patch(ctx, mallory.as, pill, `{"metadata":{"finalizers":null}}`))
			}).Should(Succeed())
			awaitGone(ctx, pill)
		}
	}, NodeTimeout(3*minute))
})

var definitionKind = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// relax has the API server accept anything in some fields of APIKeys, as an earlier
// schema might have, until restore is called or the spec ends.
func relax(ctx context.Context) (restore func(context.Context)) {
	GinkgoHelper()
	name := client.ObjectKey{Name: "apikeys.auth.hexcovery.io"}
	read := func(ctx context.Context) *unstructured.Unstructured {
		GinkgoHelper()
		definition := &unstructured.Unstructured{}
		definition.SetGroupVersionKind(definitionKind)
		Expect(admin.Get(ctx, name, definition)).To(Succeed())
		return definition
	}
	strict := read(ctx)
	write := func(ctx context.Context, spec any) {
		GinkgoHelper()
		Eventually(func() error {
			definition := read(ctx)
			definition.Object["spec"] = spec
			return admin.Update(ctx, definition)
		}).Should(Succeed())
	}
	lax := strict.DeepCopy()
	versions, _, err := unstructured.NestedSlice(lax.Object, "spec", "versions")
	Expect(err).NotTo(HaveOccurred())
	schema := versions[0].(map[string]any)["schema"].(map[string]any)["openAPIV3Schema"].(map[string]any)
	spec := schema["properties"].(map[string]any)["spec"].(map[string]any)
	// Rules about the whole do not compile without the types of these.
	delete(schema, "x-kubernetes-validations")
	delete(spec, "x-kubernetes-validations")
	for _, field := range []string{"expirationTime", "ttl", "suspend", "rotation"} {
		spec["properties"].(map[string]any)[field] = map[string]any{"x-kubernetes-preserve-unknown-fields": true}
	}
	Expect(unstructured.SetNestedSlice(lax.Object, versions, "spec", "versions")).To(Succeed())

	restore = func(ctx context.Context) { write(ctx, strict.DeepCopy().Object["spec"]) }
	DeferCleanup(func(ctx SpecContext) { restore(ctx) })
	write(ctx, lax.Object["spec"])
	return restore
}

// notes are what events say of an object.
func notes(ctx context.Context, o *unstructured.Unstructured) []string {
	GinkgoHelper()
	list := &eventsv1.EventList{}
	Expect(admin.List(ctx, list, client.InNamespace(o.GetNamespace()))).To(Succeed())
	var all []string
	for i := range list.Items {
		if list.Items[i].Regarding.Name == o.GetName() {
			all = append(all, list.Items[i].Reason+": "+list.Items[i].Note)
		}
	}
	return all
}

// logOf is what a program has logged, or written to its audit trail.
func logOf(path string) string {
	GinkgoHelper()
	text, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	return string(bytes.ToValidUTF8(text, []byte("?")))
}

// linesWith are the lines of a program's log or audit trail that have all of these texts.
func linesWith(path string, texts ...string) (found []string) {
	GinkgoHelper()
lines:
	for line := range strings.Lines(logOf(path)) {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue lines
			}
		}
		found = append(found, line)
	}
	return found
}

// quoted is how JSON has a name.
func quoted(name string) string { return fmt.Sprintf("%q", name) }
