// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("The policy on apikeys/status", func() {
	const refused = "apikeys/status holds the hashes of the keys that are accepted, so only the manager (system:serviceaccount:hexcovery-system:apikey-manager) may write it, not "

	var key *unstructured.Unstructured

	BeforeEach(func(ctx SpecContext) {
		key = create(ctx, apiKey(acme))
		// The API server learns of a new policy by a watch; nothing says when it
		// has, but that the policy refuses.
		Eventually(func(ctx context.Context) error {
			return tryStatus(ctx, admin, key, "keyID: 0123456789ab")
		}).WithContext(ctx).Should(beForbidden(refused + "admin"))
	})

	It("lets the manager write it, whichever way", func(ctx SpecContext) {
		Expect(tryStatus(ctx, manager, key, validStatus)).To(Succeed())
		Expect(manager.Status().Patch(ctx, key, client.RawPatch(types.MergePatchType, []byte(`{"status":{"keyID":"0123456789ab"}}`)))).To(Succeed())
		Expect(manager.Status().Apply(ctx, applied(key, "keyID: 0123456789ac"), client.FieldOwner("test"), client.ForceOwnership)).To(Succeed())

		Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
		Expect(key.Object).To(HaveKeyWithValue("status", HaveKeyWithValue("keyID", "0123456789ac")))
	})

	It("lets nobody else, not even who may do everything, whichever way", func(ctx SpecContext) {
		Expect(tryStatus(ctx, admin, key, validStatus)).To(beForbidden(refused + "admin: change the spec instead"))
		Expect(admin.Status().Patch(ctx, key, client.RawPatch(types.MergePatchType, []byte(`{"status":{"keyID":"0123456789ab"}}`)))).To(beForbidden(refused + "admin"))
		Expect(admin.Status().Apply(ctx, applied(key, "keyID: 0123456789ab"), client.FieldOwner("test"))).To(beForbidden(refused + "admin"))
	})

	It("holds against a ServiceAccount of the same name elsewhere, whatever RBAC lets it do", func(ctx SpecContext) {
		impostor := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: teamNamespace, Name: managerAccount}}
		Expect(admin.Create(ctx, impostor)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return admin.Delete(ctx, impostor) })
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "impostor"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: managerAccount},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: teamNamespace, Name: managerAccount}},
		}
		Expect(admin.Create(ctx, binding)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return admin.Delete(ctx, binding) })
		config, err := cluster.ServiceAccount(ctx, teamNamespace, managerAccount)
		Expect(err).NotTo(HaveOccurred())

		// RBAC, too, learns by a watch; the refusal to wait for is the policy's.
		Eventually(func(ctx context.Context) error {
			return tryStatus(ctx, newClient(config), key, validStatus)
		}).WithContext(ctx).Should(beForbidden(refused + "system:serviceaccount:team-acme:apikey-manager"))
	})

	It("does not stand in the way of other changes", func(ctx SpecContext) {
		Expect(tryChange(ctx, key, acme+"\nsuspend: true")).To(Succeed())
		key.SetLabels(map[string]string{"app": "web"})
		Expect(admin.Update(ctx, key)).To(Succeed())
	})
})

// applied is what to apply to the object for this status.
func applied(object *unstructured.Unstructured, status string) runtime.ApplyConfiguration {
	configuration := &unstructured.Unstructured{Object: map[string]any{"status": fields(status)}}
	configuration.SetGroupVersionKind(object.GroupVersionKind())
	configuration.SetNamespace(object.GetNamespace())
	configuration.SetName(object.GetName())
	return client.ApplyConfigurationFromUnstructured(configuration)
}
