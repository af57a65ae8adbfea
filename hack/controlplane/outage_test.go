// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// get reads a ConfigMap, within a second.
func get(ctx context.Context, object *corev1.ConfigMap) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return admin.Get(ctx, client.ObjectKeyFromObject(object), &corev1.ConfigMap{})
}

// expectControllers sees that kube-controller-manager works.
func expectControllers(ctx context.Context) {
	GinkgoHelper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: newNamespace(ctx), Name: "default"}}
	Eventually(func() error {
		return admin.Get(ctx, client.ObjectKeyFromObject(account), account)
	}).WithContext(ctx).Should(Succeed())
}

var _ = Describe("outages", func() {
	It("an API server that is paused answers nothing, and goes on", func(ctx SpecContext) {
		object := newConfigMap(ctx, newNamespace(ctx), "before")
		Expect(plane.PauseAPIServer()).To(Succeed())
		DeferCleanup(plane.ResumeAPIServer)
		// The signal is on its way when PauseAPIServer returns.
		Eventually(get).WithArguments(ctx, object).ShouldNot(Succeed())
		Expect(get(ctx, object)).To(MatchError(context.DeadlineExceeded))
		Expect(plane.ResumeAPIServer()).To(Succeed())
		Eventually(get).WithArguments(ctx, object).Should(Succeed())
		expectControllers(ctx)
	})

	It("an API server that is stopped is gone until it is started", func(ctx SpecContext) {
		object := newConfigMap(ctx, newNamespace(ctx), "before")
		Expect(plane.StopAPIServer()).To(Succeed())
		Expect(get(ctx, object)).To(MatchError(ContainSubstring("connection refused")))
		Expect(plane.StartAPIServer(ctx)).To(Succeed())
		Expect(get(ctx, object)).To(Succeed())
		expectControllers(ctx)
	})

	It("etcd that restarts keeps what was written, and the API server finds it", func(ctx SpecContext) {
		object := newConfigMap(ctx, newNamespace(ctx), "before")
		began := time.Now()
		Expect(plane.RestartEtcd(ctx)).To(Succeed())
		AddReportEntry("restarted in", time.Since(began))
		// The API server has a connection for each kind, and finds etcd again with each.
		Eventually(get).WithArguments(ctx, object).Should(Succeed())
		Expect(newConfigMap(ctx, object.Namespace, "after").UID).NotTo(BeEmpty())
		expectControllers(ctx)
	})

	It("etcd that is restored holds what it held, and nothing that was written since", func(ctx SpecContext) {
		cp, err := Start(ctx, Options{WithoutControllerManager: true})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
		c, err := newClient(cp.Admin())
		Expect(err).NotTo(HaveOccurred())
		object := func(name string) *corev1.ConfigMap {
			return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
		}
		Expect(c.Create(ctx, object("before"))).To(Succeed())
		restore, err := cp.BackUpEtcd(ctx)
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() error { return c.Create(ctx, object("since")) }).WithContext(ctx).Should(Succeed())
		Expect(c.Delete(ctx, object("before"))).To(Succeed())
		Expect(restore(ctx)).To(Succeed())
		Eventually(func() error { return c.Get(ctx, client.ObjectKeyFromObject(object("before")), object("before")) }).WithContext(ctx).Should(Succeed())
		Expect(c.Get(ctx, client.ObjectKeyFromObject(object("since")), object("since"))).To(MatchError(apierrors.IsNotFound, "not found"))
	})
})

var _ = Describe("a watch cache that falls behind", func() {
	It("answers with what was, and reads of the present go on", func(ctx SpecContext) {
		_, err := plane.HoldEtcdWatches()
		Expect(err).To(MatchError(ErrNoEtcdLink))

		cp, err := Start(ctx, Options{WithoutControllerManager: true, EtcdLink: "/configmaps"})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
		linked, err := newClient(cp.Admin())
		Expect(err).NotTo(HaveOccurred())
		count := func(options metav1.ListOptions) int {
			GinkgoHelper()
			list := &corev1.ConfigMapList{}
			Expect(linked.List(ctx, list, client.InNamespace("default"), &client.ListOptions{Raw: &options})).To(Succeed())
			return len(list.Items)
		}
		cached, present := metav1.ListOptions{ResourceVersion: "0"}, metav1.ListOptions{}
		create := func(name string) {
			GinkgoHelper()
			Expect(linked.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}})).To(Succeed())
		}
		create("first")
		before := count(present)
		Eventually(count).WithArguments(cached).Should(Equal(before))

		release, err := cp.HoldEtcdWatches()
		Expect(err).NotTo(HaveOccurred())
		create("second")
		Expect(count(present)).To(Equal(before + 1))
		Expect(count(cached)).To(Equal(before), "the cache knows what it cannot know")
		release()
		Eventually(count).WithArguments(cached).Should(Equal(before + 1))
	}, NodeTimeout(time.Minute))
})
