// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// newReader makes a ServiceAccount that may list and get ConfigMaps.
func newReader(ctx SpecContext, namespace, name string) {
	GinkgoHelper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	Expect(admin.Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta})).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list"}},
	}})).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
	})).To(Succeed())
}

var _ = Describe("a ServiceAccount", func() {
	It("may do what RBAC allows, and nothing else", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		newReader(ctx, namespace, "reader")
		cfg, err := plane.ServiceAccount(ctx, namespace, "reader")
		Expect(err).NotTo(HaveOccurred())
		reader, err := newClient(cfg)
		Expect(err).NotTo(HaveOccurred())

		Eventually(func() error {
			return reader.List(ctx, &corev1.ConfigMapList{}, client.InNamespace(namespace))
		}).Should(Succeed(), "RBAC knows the Role after a moment")
		Expect(reader.List(ctx, &corev1.SecretList{}, client.InNamespace(namespace))).To(Satisfy(apierrors.IsForbidden))
		Expect(reader.List(ctx, &corev1.ConfigMapList{})).To(Satisfy(apierrors.IsForbidden))
	})

	It("is in the kubeconfig written for it", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		path := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
		cfg, err := plane.ServiceAccount(ctx, namespace, "default")
		Expect(err).NotTo(HaveOccurred())
		Expect(WriteKubeconfig(cfg, path)).To(Succeed())
		cmd := plane.Kubectl(ctx, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
		cmd.Env = append(cmd.Env, "KUBECONFIG="+path)
		Expect(cmd.Output()).To(BeEquivalentTo("system:serviceaccount:" + namespace + ":default"))
	})

	It("is in a pod by its token, the same one each time that its name is given", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		path := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
		cfg, uid, err := plane.Pod(ctx, namespace, "default", "program")
		Expect(err).NotTo(HaveOccurred())
		Expect(WriteKubeconfig(cfg, path)).To(Succeed())
		cmd := plane.Kubectl(ctx, "auth", "whoami", "-o", `jsonpath={.status.userInfo.extra.authentication\.kubernetes\.io/pod-uid[0]}`)
		cmd.Env = append(cmd.Env, "KUBECONFIG="+path)
		Expect(cmd.Output()).To(BeEquivalentTo(uid))
		_, again, err := plane.Pod(ctx, namespace, "default", "program")
		Expect(err).NotTo(HaveOccurred())
		Expect(again).To(Equal(uid))
		_, another, err := plane.Pod(ctx, namespace, "default", "another")
		Expect(err).NotTo(HaveOccurred())
		Expect(another).NotTo(Equal(uid))
	})

	It("has its requests counted by the audit log", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		cfg, err := plane.ServiceAccount(ctx, namespace, "default")
		Expect(err).NotTo(HaveOccurred())
		cfg.UserAgent = "counted"
		account, err := newClient(cfg)
		Expect(err).NotTo(HaveOccurred())
		const requests = 3
		for i := range requests {
			key := client.ObjectKey{Namespace: namespace, Name: fmt.Sprint("object-", i)}
			Expect(account.Get(ctx, key, &corev1.Secret{})).To(Satisfy(apierrors.IsForbidden))
		}

		gets := func(g Gomega) []auditv1.Event {
			events, err := plane.AuditEvents()
			g.Expect(err).NotTo(HaveOccurred())
			var gets []auditv1.Event
			for _, event := range events {
				if event.User.Username == "system:serviceaccount:"+namespace+":default" && event.Verb == "get" && event.ObjectRef.Resource == "secrets" {
					gets = append(gets, event)
				}
			}
			return gets
		}
		Eventually(gets).Should(HaveLen(requests))
		events, err := plane.AuditEvents()
		Expect(err).NotTo(HaveOccurred())
		Expect(events).To(ContainElement(And(
			HaveField("ObjectRef.Namespace", namespace), HaveField("ObjectRef.Name", "object-1"), HaveField("ResponseStatus.Code", BeEquivalentTo(403)),
			HaveField("UserAgent", "counted"), HaveField("ObjectRef.Subresource", ""), HaveField("RequestReceivedTimestamp.Time", Not(BeZero())),
		)))
	})
})
