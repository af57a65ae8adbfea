// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/hack/process"
)

// newNamespace creates a namespace that is deleted after the spec.
func newNamespace(ctx context.Context) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"}}
	Expect(admin.Create(ctx, namespace)).To(Succeed())
	DeferCleanup(deleteNamespace, namespace)
	return namespace.Name
}

func deleteNamespace(ctx SpecContext, namespace *corev1.Namespace) {
	Expect(client.IgnoreNotFound(admin.Delete(ctx, namespace))).To(Succeed())
}

func newConfigMap(ctx context.Context, namespace, name string, owners ...metav1.OwnerReference) *corev1.ConfigMap {
	GinkgoHelper()
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, OwnerReferences: owners}}
	Expect(admin.Create(ctx, object)).To(Succeed())
	return object
}

func ownerReference(owner client.Object, apiVersion, kind string) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: apiVersion, Kind: kind, Name: owner.GetName(), UID: owner.GetUID(), BlockOwnerDeletion: new(true),
	}
}

func expectGone(ctx context.Context, obj client.Object) {
	GinkgoHelper()
	Eventually(func() error {
		return admin.Get(ctx, client.ObjectKeyFromObject(obj), obj)
	}).WithContext(ctx).Should(Satisfy(apierrors.IsNotFound))
}

var _ = Describe("a control plane with controllers", func() {
	It("deletes a namespace and what is in it", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		object := newConfigMap(ctx, namespace, "content")
		Expect(admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
		expectGone(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
		expectGone(ctx, object)
	})

	It("collects what a deleted object owns", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		owner := newConfigMap(ctx, namespace, "owner")
		owned := newConfigMap(ctx, namespace, "owned", ownerReference(owner, "v1", "ConfigMap"))
		Expect(admin.Delete(ctx, owner)).To(Succeed())
		expectGone(ctx, owned)
	})

	It("collects what a deleted custom resource owns, without the delay for new kinds", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		owner := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Widget"}}
		owner.SetNamespace(namespace)
		owner.SetName("owner")
		Expect(admin.Create(ctx, owner)).To(Succeed())
		owned := newConfigMap(ctx, namespace, "owned", ownerReference(owner, "example.com/v1", "Widget"))
		began := time.Now()
		Expect(admin.Delete(ctx, owner)).To(Succeed())
		expectGone(ctx, owned)
		AddReportEntry("collected after", time.Since(began))
	})

	It("keeps clients, tokens and controllers going over a restart of the API server", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		before, err := plane.ServiceAccount(ctx, namespace, "default")
		Expect(err).NotTo(HaveOccurred())

		Expect(plane.RestartAPIServer(ctx)).To(Succeed())

		Expect(newConfigMap(ctx, namespace, "after").UID).NotTo(BeEmpty())
		Expect(plane.Admin().Host).To(Equal(before.Host))
		account, err := newClient(before)
		Expect(err).NotTo(HaveOccurred())
		err = account.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "after"}, &corev1.ConfigMap{})
		Expect(err).To(Satisfy(apierrors.IsForbidden), "the token is still known, and its rights are the same")
		_, err = plane.ServiceAccount(ctx, newNamespace(ctx), "default")
		Expect(err).NotTo(HaveOccurred(), "the controllers make what a new namespace needs")
	})

	It("tells the path of a kustomization that cannot be applied", func(ctx SpecContext) {
		err := plane.Apply(ctx, "hack/controlplane/no-such-folder")
		Expect(err).To(MatchError(ContainSubstring("apply hack/controlplane/no-such-folder")))
	})

	It("does not let the settings of its user change kubectl", func(ctx SpecContext) {
		GinkgoT().Setenv("KUBECONFIG", "/nonexistent")
		whoami, err := plane.Kubectl(ctx, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}").Output()
		Expect(err).NotTo(HaveOccurred())
		Expect(string(whoami)).To(Equal("admin"))
	})
})

var _ = Describe("starting and stopping", func() {
	It("tells what the API server said of a flag, and leaves nothing behind", func(ctx SpecContext) {
		temp := GinkgoT().TempDir()
		GinkgoT().Setenv("TMPDIR", temp)
		_, err := Start(ctx, Options{WithoutControllerManager: true, APIServerFlags: []string{"--no-such-flag=1"}})
		Expect(err).To(MatchError(ContainSubstring("unknown flag: --no-such-flag")))
		Expect(os.ReadDir(temp)).To(BeEmpty())
	})

	It("tries again, but not for ever, when a port is taken", func(ctx SpecContext) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(taken.Close)
		port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
		log := newWatchedLog()
		_, err = Start(ctx, Options{Log: log, WithoutControllerManager: true, APIServerFlags: []string{"--secure-port=" + port}})
		Expect(err).To(MatchError(ContainSubstring("address already in use")))
		Expect(strings.Count(log.String(), "starting kube-apiserver")).To(Equal(process.StartAttempts))
	})

	It("gives up when the context ends", func(ctx SpecContext) {
		enough := errors.New("enough")
		ended, end := context.WithCancelCause(ctx)
		log := newWatchedLog()
		log.on("starting kube-apiserver", func() { end(enough) })
		began := time.Now()
		_, err := Start(ended, Options{WithoutControllerManager: true, Log: log})
		Expect(err).To(MatchError(enough))
		Expect(time.Since(began)).To(BeNumerically("<", 30*time.Second), "it does not wait for what it has killed")
	})

	It("uses a folder that is given, and keeps the logs in it", func(ctx SpecContext) {
		dir := GinkgoT().TempDir()
		cp, err := Start(ctx, Options{Dir: dir, WithoutControllerManager: true})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
		_, err = cp.AuditEvents()
		Expect(err).To(MatchError(ErrNoAuditLog))

		Expect(cp.Stop()).To(Succeed())
		Expect(cp.Stop()).To(Succeed(), "a second time")
		Expect(os.ReadDir(cp.LogDir())).To(HaveLen(4), "two programs, with the two outputs of each")
		endpoint, err := url.Parse(cp.etcdURL)
		Expect(err).NotTo(HaveOccurred())
		_, err = (&net.Dialer{}).DialContext(ctx, "tcp", endpoint.Host)
		Expect(err).To(HaveOccurred(), "etcd has ended")
	})
})
