// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package tenants

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const minute = time.Minute

var _ = Describe("An APIKey that its tenant has filled until not one byte more is accepted", Ordered, ContinueOnFailure, func() {
	type filled struct {
		*tenant
		key       *unstructured.Unstructured
		plaintext string
	}
	var suspended, deleted, orphaned, withdrawn *filled

	BeforeAll(func(ctx SpecContext) {
		all := []**filled{&suspended, &deleted, &orphaned, &withdrawn}
		var filling sync.WaitGroup
		for _, one := range all {
			mallory := newPermitted(ctx)
			key, plaintext := mallory.mint(ctx, "full", "")
			*one = &filled{tenant: mallory, key: key, plaintext: plaintext}
			filling.Go(func() {
				defer GinkgoRecover()
				fill(ctx, mallory, key)
			})
		}
		filling.Wait()
	}, NodeTimeout(4*minute))

	It("is refused when it is suspended, and says so", func(ctx SpecContext) {
		Expect(patch(ctx, suspended.as, suspended.key, `{"spec":{"suspend":true}}`)).To(Succeed())
		refusedSoon(ctx, suspended.plaintext)
		awaitReason(ctx, suspended.key, "Registered", "Revoked")
	})

	It("is refused when it is deleted, and goes", func(ctx SpecContext) {
		Expect(deleted.as.Delete(ctx, deleted.key.DeepCopy())).To(Succeed())
		refusedSoon(ctx, deleted.plaintext)
		awaitGone(ctx, deleted.key)
	})

	It("is refused when its namespace is deleted, and both go", func(ctx SpecContext) {
		namespace := &corev1.Namespace{}
		namespace.Name = orphaned.namespace
		Expect(admin.Delete(ctx, namespace)).To(Succeed())
		awaitGone(ctx, orphaned.key)
		refusedSoon(ctx, orphaned.plaintext)
		awaitGone(ctx, namespace)
	})

	It("is refused when its Organization withdraws the permission, and says so", func(ctx SpecContext) {
		Expect(patchOrganization(ctx, withdrawn.organization, `{"spec":{"namespaces":{"selector":null}}}`)).To(Succeed())
		refusedSoon(ctx, withdrawn.plaintext)
		awaitReason(ctx, withdrawn.key, "Permitted", "NamespaceNotPermitted")
		awaitReason(ctx, withdrawn.key, "Registered", "Revoked")
	})

	It("delays nobody else", func(ctx SpecContext) { bystanders.live(ctx) })
})

// fill adds labels to the APIKey, and then annotations, as many and as large as are
// accepted, down to the last byte.
func fill(ctx context.Context, mallory *tenant, key *unstructured.Unstructured) {
	GinkgoHelper()
	accepted := 0
	add := func(kind string, count, size int) bool {
		entries := map[string]string{}
		for range count {
			accepted++
			// A name of 253 + 63 characters: most of a label is its name.
			prefix := fmt.Sprintf("p%07d.", accepted) + strings.TrimSuffix(strings.Repeat(strings.Repeat("a", 60)+".", 4), ".")
			entries[prefix[:min(len(prefix), 7+size)]+"/"+strings.Repeat("n", 1+min(size, 60))] = ""
		}
		text, err := json.Marshal(map[string]any{"metadata": map[string]any{kind: entries}})
		Expect(err).NotTo(HaveOccurred())
		return accepts(ctx, func() error { return patch(ctx, mallory.as, key, string(text)) })
	}
	for _, kind := range []string{"labels", "annotations"} {
		for add(kind, 1024, 240) {
		}
		// What is left has room for less than that, then for less than half of it, and so on.
		for count := 512; count > 0; count /= 2 {
			add(kind, count, 240)
		}
		for _, size := range []int{120, 60, 30, 10, 1, 1} {
			add(kind, 1, size)
		}
	}
}

// accepts reports whether the API server takes a change, and not merely whether it does just
// now: one that is too large it refuses for good.
func accepts(ctx context.Context, change func() error) bool {
	GinkgoHelper()
	for {
		err := change()
		switch {
		case err == nil:
			return true
		case apierrors.IsInvalid(err), apierrors.IsForbidden(err), strings.Contains(err.Error(), "too large"):
			return false
		}
		Expect(ctx.Err()).NotTo(HaveOccurred(), "the last answer was %v", err)
		pause(ctx, askInterval)
	}
}

// patchOrganization is what a platform admin does.
func patchOrganization(ctx context.Context, name, text string) error {
	organization := object("Organization", "{}")
	organization.SetName(name)
	return patch(ctx, admin, organization, text)
}
