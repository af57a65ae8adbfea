// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package tenants

import (
	"crypto/sha256"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// relabel changes the label of a namespace that Organizations select by.
func relabel(ctx SpecContext, namespace, team string) error {
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, teamLabel, team))
	return admin.Patch(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, patch)
}

var _ = Describe("With the manager stopped", Ordered, ContinueOnFailure, func() {
	var named, labelled, importing, retiring, blocked *tenant
	var namedKey, labelledKey, retiringKey, oldKey, blockedKey string
	var list, rotated *unstructured.Unstructured
	foreign := "a-key-of-another-system-" + rand.String(32)

	BeforeAll(func(ctx SpecContext) {
		named = newPermitted(ctx, "")
		Expect(patchOrganization(ctx, named.organization, fmt.Sprintf(`{"spec":{"namespaces":{"selector":{"matchLabels":null,"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"In","values":[%q]}]}}}}`, named.namespace))).To(Succeed())
		_, namedKey = named.mint(ctx, "key", "")
		labelled = newPermitted(ctx)
		_, labelledKey = labelled.mint(ctx, "key", "")
		blocked = newPermitted(ctx)
		_, blockedKey = blocked.mint(ctx, "key", "")

		importing = newPermitted(ctx, "imports: Foreign")
		list, _ = importing.mint(ctx, "key", fmt.Sprintf("importedKeys: [{sha256: %x}]", sha256.Sum256([]byte(foreign))))
		awaitAccepted(ctx, foreign)

		retiring = newPermitted(ctx)
		rotated, oldKey = retiring.mint(ctx, "key", "")
		Expect(patch(ctx, retiring.as, rotated, fmt.Sprintf(`{"spec":{"rotation":{"rotateAfter":%q}}}`, time.Now().Add(time.Second).UTC().Format(time.RFC3339)))).To(Succeed())
		awaitReason(ctx, rotated, "Rotated", "Retiring")
		awaitServing(ctx, rotated)
		retiringKey = plaintextOf(ctx, rotated)
		Expect(retiringKey).NotTo(Equal(oldKey))
		for _, plaintext := range []string{namedKey, labelledKey, oldKey, retiringKey, blockedKey} {
			awaitAccepted(ctx, plaintext)
		}
	}, NodeTimeout(3*minute))

	BeforeEach(func(ctx SpecContext) { Expect(product.Manager.Stop(ctx)).To(Succeed()) })

	AfterAll(func(ctx SpecContext) {
		if product.Manager.PID() == 0 {
			Expect(product.Manager.Start(ctx)).To(Succeed())
		}
		bystanders.live(ctx)
	})

	It("a key is refused whose namespace the Organization names no longer", func(ctx SpecContext) {
		Expect(patchOrganization(ctx, named.organization, `{"spec":{"namespaces":{"selector":{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"In","values":["nobody"]}]}}}}`)).To(Succeed())
		refusedSoon(ctx, namedKey)
	})

	It("a key is refused whose namespace has another label", func(ctx SpecContext) {
		Expect(relabel(ctx, labelled.namespace, "another")).To(Succeed())
		refusedSoon(ctx, labelledKey)
	})

	It("an imported key is refused that is taken out of the list", func(ctx SpecContext) {
		Expect(patch(ctx, importing.as, list, `{"spec":{"importedKeys":null}}`)).To(Succeed())
		refusedSoon(ctx, foreign)
	})

	It("a key is refused that was replaced and is retired, and its successor is not", func(ctx SpecContext) {
		Expect(patch(ctx, retiring.as, rotated, fmt.Sprintf(`{"spec":{"revokedKeyIDs":[%q]}}`, fmt.Sprintf("%x", sha256.Sum256([]byte(oldKey)))[:12]))).To(Succeed())
		refusedSoon(ctx, oldKey)
		awaitAccepted(ctx, retiringKey)
	})

	It("a key is refused whose APIKey the Organization blocks", func(ctx SpecContext) {
		Expect(patchOrganization(ctx, blocked.organization, fmt.Sprintf(`{"spec":{"blocked":[{"namespace":%q,"name":"key"}]}}`, blocked.namespace))).To(Succeed())
		refusedSoon(ctx, blockedKey)
	})
})

var _ = Describe("A namespace", func() {
	It("is not its editors' to label", func(ctx SpecContext) {
		mallory := newTenant(ctx)
		relabelled := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, teamLabel, bystanders.organization))
		Expect(mallory.as.Patch(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: mallory.namespace}}, relabelled)).NotTo(Succeed())
		key := mallory.key("key", "organizationRef: {name: "+bystanders.organization+"}")
		Expect(mallory.as.Create(ctx, key)).To(Succeed())
		awaitReason(ctx, key, "Permitted", "NamespaceNotPermitted")
	})

	It("that is deleted and made anew by somebody else inherits nothing from its label", func(ctx SpecContext) {
		mallory := newPermitted(ctx)
		key, plaintext := mallory.mint(ctx, "key", "")
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: mallory.namespace}}
		Expect(admin.Delete(ctx, namespace.DeepCopy())).To(Succeed())
		awaitGone(ctx, key)
		refusedSoon(ctx, plaintext)
		awaitGone(ctx, namespace.DeepCopy())

		Expect(admin.Create(ctx, namespace)).To(Succeed())
		mallory.settle(ctx)
		anew := mallory.key("key", "")
		Expect(mallory.as.Create(ctx, anew)).To(Succeed())
		awaitReason(ctx, anew, "Permitted", "NamespaceNotPermitted")
		neverAccepted(ctx, plaintext, time.Second)
	})
})
