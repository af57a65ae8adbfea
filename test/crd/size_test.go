// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

var _ = Describe("The policy on sizes", Ordered, ContinueOnFailure, func() {
	const labels, managers = "metadata.labels has 65 entries, and at most 64 are accepted", "metadata.managedFields has "

	BeforeAll(func(ctx SpecContext) {
		Eventually(func(ctx context.Context) error {
			return tryCreate(ctx, withLabels(apiKey(acme), 65))
		}).WithContext(ctx).Should(beForbidden(labels))
	})

	DescribeTable("admits, and one more is refused", func(ctx SpecContext, most, more *unstructured.Unstructured, message string) {
		Expect(tryCreate(ctx, most)).To(Succeed())
		Expect(tryCreate(ctx, more)).To(beForbidden(message))
	},
		Entry("64 labels", withLabels(apiKey(acme), 64), withLabels(apiKey(acme), 65), labels),
		Entry("64 annotations", withAnnotations(apiKey(acme), 64, 1), withAnnotations(apiKey(acme), 65, 1), "metadata.annotations has 65 entries, and at most 64 are accepted"),
		Entry("128 KiB of annotations", withAnnotations(apiKey(acme), 2, 64<<10-6), withAnnotations(apiKey(acme), 2, 64<<10-5), "metadata.annotations has 131074 bytes, and at most 128 KiB are accepted"),
		Entry("16 finalizers", withFinalizers(apiKey(acme), 16), withFinalizers(apiKey(acme), 17), "metadata.finalizers has 17 entries, and at most 16 are accepted"),
		Entry("16 owners", withOwners(apiKey(acme), 16, 1), withOwners(apiKey(acme), 17, 1), "metadata.ownerReferences has 17 entries, and at most 16 are accepted"),
		Entry("owners of 16 KiB", withOwners(apiKey(acme), 8, 1500), withOwners(apiKey(acme), 8, 2100), "bytes, and at most 16 KiB are accepted"),
		Entry("64 labels of an Organization", withLabels(organization("displayName: acme"), 64), withLabels(organization("displayName: acme"), 65), labels),
	)

	It("bounds what is remembered about field managers, by their number and their size", func(ctx SpecContext) {
		key := create(ctx, apiKey(acme))
		applyAs := func(manager string, labels int) error {
			wanted := withLabels(apiKey(acme), labels)
			wanted.SetName(key.GetName())
			return admin.Apply(ctx, client.ApplyConfigurationFromUnstructured(wanted), client.FieldOwner(manager), client.ForceOwnership)
		}
		for i := range 31 {
			Expect(applyAs(fmt.Sprintf("manager-%d", i), 1)).To(Succeed())
		}
		Expect(applyAs("one-more", 1)).To(beForbidden("metadata.managedFields has 33 entries, and at most 32 are accepted"))
		Expect(applyAs("manager-0", 1)).To(Succeed(), "who is there already")

		// A fieldset of somebody's own making, as large as it likes.
		paths := map[string]any{}
		for i := range 3000 {
			paths[fmt.Sprintf("f:label-%d-%s", i, chars(40))] = map[string]any{}
		}
		stuffed := apiKey(acme)
		stuffed.Object["metadata"].(map[string]any)["managedFields"] = []any{map[string]any{
			"manager": "stuffer", "operation": "Apply", "apiVersion": v1alpha1.GroupVersion.String(), "fieldsType": "FieldsV1",
			"time": "2026-01-01T00:00:00Z", "fieldsV1": map[string]any{"f:metadata": map[string]any{"f:labels": paths}},
		}}
		Expect(tryCreate(ctx, stuffed)).To(beForbidden(managers))
		Expect(tryCreate(ctx, stuffed)).To(beForbidden("bytes, and at most 96 KiB are accepted"))
	})

	It("keeps nobody from repairing, suspending or deleting what is too large already", func(ctx SpecContext) {
		key := withAnnotations(withLabels(apiKey(acme), 3000), 100, 2500)
		all := key.GetLabels()
		for i := range 1000 {
			all[fmt.Sprintf("%s/l%04d%s", dns(253), i, chars(58))] = chars(63)
		}
		key.SetLabels(all)
		for i := range 40 {
			key.SetManagedFields(append(key.GetManagedFields(), metav1.ManagedFieldsEntry{
				Manager: fmt.Sprintf("manager-%d", i), Operation: metav1.ManagedFieldsOperationApply, APIVersion: v1alpha1.GroupVersion.String(),
				FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:organizationRef":{}},"f:metadata":{"f:annotations":{"f:` + chars(3000) + `":{}}}}`),
			}))
		}
		withoutPolicy(ctx, func() { create(ctx, key) })
		stored, err := json.Marshal(key.Object)
		Expect(err).NotTo(HaveOccurred())
		Expect(len(stored)).To(BeNumerically(">", 1<<20))

		Expect(admin.Update(ctx, withLabels(key.DeepCopy(), 4001))).To(beForbidden("metadata.labels has 4001 entries"))
		By("suspending it")
		patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspend":true}}`))
		Expect(admin.Patch(ctx, key, patch, client.FieldOwner("on-call"))).To(Succeed())
		By("repairing a part of it")
		Expect(admin.Update(ctx, withLabels(key.DeepCopy(), 3999), client.FieldOwner("on-call"))).To(Succeed())
		Expect(admin.Patch(ctx, key, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"managedFields":[{}]}}`)))).To(Succeed())
		By("putting the manager's finalizer on and taking it off")
		controlled := key.DeepCopy()
		controlled.SetFinalizers([]string{v1alpha1.Finalizer})
		Expect(manager.Patch(ctx, controlled, client.MergeFrom(key))).To(Succeed())
		By("deleting it")
		Expect(admin.Delete(ctx, controlled)).To(Succeed())
		Expect(manager.Patch(ctx, controlled, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
	})

	It("leaves room in the largest object that is accepted for its status, its suspension and its deletion", func(ctx SpecContext) {
		key := largest()
		create(ctx, key)
		controlled := key.DeepCopy()
		controlled.SetFinalizers(append(controlled.GetFinalizers(), v1alpha1.Finalizer))
		Expect(manager.Patch(ctx, controlled, client.MergeFrom(key))).To(Succeed())
		Expect(manager.Status().Patch(ctx, controlled, client.RawPatch(types.MergePatchType, largestStatus(controlled)))).To(Succeed())

		decoded := &v1alpha1.APIKey{}
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), decoded)).To(Succeed())
		Expect(decoded.Refusal).To(BeEmpty())
		stored, err := json.Marshal(controlled.Object)
		Expect(err).NotTo(HaveOccurred())
		GinkgoWriter.Printf("the largest object has %d bytes\n", len(stored))
		Expect(len(stored)).To(BeNumerically("<", v1alpha1.MaxObjectSize))

		Expect(asEditor.Patch(ctx, controlled, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspend":true}}`)), client.FieldOwner("on-call"))).To(Succeed())
		Expect(admin.Delete(ctx, controlled)).To(Succeed())
		Expect(manager.Patch(ctx, controlled, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
	})
})

// withoutPolicy lets act do what the policy on sizes refuses, as before it was installed.
func withoutPolicy(ctx context.Context, act func()) {
	GinkgoHelper()
	binding := &unstructured.Unstructured{}
	binding.SetGroupVersionKind(schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingAdmissionPolicyBinding"})
	Expect(admin.Get(ctx, client.ObjectKey{Name: "apikey-size"}, binding)).To(Succeed())
	Expect(admin.Delete(ctx, binding)).To(Succeed())
	Eventually(func() error { return tryCreate(ctx, withLabels(apiKey(acme), 65)) }).Should(Succeed())
	defer func() {
		binding.SetResourceVersion("")
		Expect(admin.Create(ctx, binding)).To(Succeed())
		Eventually(func() error { return tryCreate(ctx, withLabels(apiKey(acme), 65)) }).ShouldNot(Succeed())
	}()
	act()
}

func withLabels(object *unstructured.Unstructured, n int) *unstructured.Unstructured {
	labels := map[string]string{}
	for i := range n {
		labels[fmt.Sprintf("label-%d", i)] = "x"
	}
	object.SetLabels(labels)
	return object
}

func withAnnotations(object *unstructured.Unstructured, n, length int) *unstructured.Unstructured {
	annotations := map[string]string{}
	for i := range n {
		annotations[fmt.Sprintf("note-%d", i)] = strings.Repeat("a", length)
	}
	object.SetAnnotations(annotations)
	return object
}

func withFinalizers(object *unstructured.Unstructured, n int) *unstructured.Unstructured {
	var finalizers []string
	for i := range n {
		finalizers = append(finalizers, fmt.Sprintf("example.com/f%d", i))
	}
	object.SetFinalizers(finalizers)
	return object
}

func withOwners(object *unstructured.Unstructured, n, length int) *unstructured.Unstructured {
	var owners []metav1.OwnerReference
	for i := range n {
		owners = append(owners, metav1.OwnerReference{APIVersion: "example.com/v1", Kind: "Owner", Name: strings.Repeat("o", length), UID: types.UID(fmt.Sprintf("uid-%d", i))})
	}
	object.SetOwnerReferences(owners)
	return object
}

// largest is an APIKey at each of its bounds, but for what they leave to the API server's
// own stamps.
func largest() *unstructured.Unstructured {
	spec := map[string]any{
		"organizationRef": map[string]any{"name": chars(253)},
		"description":     strings.Repeat("語", 1024),
		"scopes":          []any{"ingest", "query", "annotations", "heartbeats"},
		"ttl":             "720h",
		"secret":          fields("{" + secretOfSize(64<<10-253, "a") + "}"),
		"rotation": map[string]any{
			"interval": "720h", "rotateAfter": "2026-03-04T05:06:07.000000000+00:00",
			"window":  map[string]any{"schedule": "0 1 * * *" + strings.Repeat(",1", 59), "duration": "1h", "timeZone": chars(64)},
			"restart": map[string]any{"policy": "Named"},
		},
	}
	var imported, workloads, revoked []any
	for i := range 64 {
		revoked = append(revoked, fmt.Sprintf("%012x", i))
	}
	for i := range 8 {
		imported = append(imported, map[string]any{"sha256": fmt.Sprintf("%064x", i), "description": strings.Repeat("語", 256)})
	}
	for i := range 32 {
		workloads = append(workloads, map[string]any{"kind": "StatefulSet", "name": fmt.Sprintf("%s%02d", chars(251), i)})
	}
	spec["revokedKeyIDs"], spec["activeKeyID"] = revoked, "0123456789ab"
	spec["importedKeys"] = imported
	spec["rotation"].(map[string]any)["restart"].(map[string]any)["workloads"] = workloads
	key := apiKey(acme)
	key.Object["spec"] = spec
	labels := map[string]string{}
	for i := range 64 {
		labels[fmt.Sprintf("%s/l%02d%s", dns(253), i, chars(60))] = chars(63)
	}
	key.SetLabels(labels)
	return withOwners(withFinalizers(withAnnotations(key, 64, 2<<10-8), 15), 8, 1500)
}

// largestStatus is a patch of status at its bounds.
func largestStatus(key client.Object) []byte {
	at := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	status := v1alpha1.APIKeyStatus{UID: key.GetUID(), OrganizationID: chars(150), KeyID: chars(12), SecretRef: &v1alpha1.SecretReference{Name: chars(244)}, ExpirationTime: &at, LastUsedTime: &at}
	for i := range 16 {
		status.Versions = append(status.Versions, v1alpha1.KeyVersion{
			ID: fmt.Sprintf("%012x", i), SHA256: fmt.Sprintf("%064x", i), State: v1alpha1.VersionRetiring, Origin: v1alpha1.OriginImported,
			RegistrationTime: at, ActivationTime: &at, ReplacementTime: &at, LastUsedTime: &at, MintReason: v1alpha1.MintDrifted, RevocationReason: v1alpha1.RevokedForbidden,
			RevokedBy: &v1alpha1.UserReference{Username: chars(253), UID: chars(128)},
		})
		status.Conditions = append(status.Conditions, metav1.Condition{
			Type: fmt.Sprintf("Condition%d", i), Status: metav1.ConditionTrue, Reason: chars(64), LastTransitionTime: at, Message: chars(1024),
		})
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	Expect(err).NotTo(HaveOccurred())
	return patch
}
