// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"context"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/hack/controlplane"
)

const (
	systemNamespace   = "hexcovery-system"
	managerAccount    = "apikey-manager"
	authserverAccount = "apikey-authserver"

	// teamNamespace is where keys are asked for, and editor and viewer have their
	// rights.
	teamNamespace = "team-acme"
	editor        = "erin-the-editor"
	viewer        = "vic-the-viewer"
)

var (
	cluster *controlplane.ControlPlane

	// Each does what its user may: admin everything, manager and authserver what
	// config/rbac gives their ServiceAccounts, asEditor and asViewer what edit and
	// view of one namespace come to.
	admin, manager, authserver, asEditor, asViewer client.Client
)

func TestCRD(t *testing.T) {
	RegisterFailHandler(Fail)
	// What the API server learns by a watch it knows after milliseconds.
	SetDefaultEventuallyTimeout(20 * time.Second)
	EnforceDefaultTimeoutsWhenUsingContexts()
	RunSpecs(t, "Schema, policy and RBAC")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	// Progress goes to the terminal at once: the first start may take minutes.
	cluster, err = controlplane.Start(ctx, controlplane.Options{Log: os.Stderr, Apply: []string{"config/base"}})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return cluster.Stop() })

	admin = newClient(cluster.Admin())
	manager = newClient(accountConfig(ctx, managerAccount))
	authserver = newClient(accountConfig(ctx, authserverAccount))
	asEditor = newClient(impersonating(editor))
	asViewer = newClient(impersonating(viewer))

	Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: teamNamespace}})).To(Succeed())
	bind(ctx, editor, "edit")
	bind(ctx, viewer, "view")
}, NodeTimeout(30*time.Minute))

func newClient(config *rest.Config) client.Client {
	GinkgoHelper()
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	c, err := client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

func accountConfig(ctx context.Context, account string) *rest.Config {
	GinkgoHelper()
	config, err := cluster.ServiceAccount(ctx, systemNamespace, account)
	Expect(err).NotTo(HaveOccurred())
	return config
}

func impersonating(user string) *rest.Config {
	config := cluster.Admin()
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	return config
}

// bind gives user a ClusterRole in teamNamespace.
func bind(ctx context.Context, user, role string) {
	GinkgoHelper()
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: teamNamespace, Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})).To(Succeed())
}
