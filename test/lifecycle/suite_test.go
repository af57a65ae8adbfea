// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lifecycle tests the product whole: manager and auth servers, each under
// its own service account with the rights that config/ ships, against a real
// control plane.
package lifecycle

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/controllers"
	"github.com/hexcovery/apikey-operator/hack/controlplane"
)

const (
	systemNamespace = "hexcovery-system"
	managerAccount  = "apikey-manager"
	serverAccount   = "apikey-authserver"
)

var (
	plane  *controlplane.ControlPlane
	scheme *runtime.Scheme
	admin  client.WithWatch
	// logs has everything that any manager or auth server has logged.
	logs = &transcript{}
	// trail has everything that any manager has written to its audit trail.
	trail = &transcript{}
)

func TestLifecycle(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "Lifecycle")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	logger := zap.New(zap.WriteTo(logs), zap.UseDevMode(true))
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)

	var err error
	plane, err = controlplane.Start(ctx, controlplane.Options{
		AuditLog: true, Log: GinkgoWriter, Apply: []string{"config/base"},
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(plane.Stop()).To(Succeed()) })

	scheme, err = controllers.NewScheme()
	Expect(err).NotTo(HaveOccurred())
	admin = clientOf(plane.Admin())
	awaitStatusPolicy(ctx)
}, NodeTimeout(20*time.Minute))

// What a spec leaves is removed when all that it started has ended: each manager and each auth
// server of the next ones would reconcile it again.
var _ = BeforeEach(func() {
	DeferCleanup(func(ctx SpecContext) {
		// Some cannot be decoded; their metadata can.
		left := &metav1.PartialObjectMetadataList{}
		left.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("APIKeyList"))
		Expect(admin.List(ctx, left)).To(Succeed())
		released := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
		for i := range left.Items {
			key := &left.Items[i]
			key.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("APIKey"))
			Expect(admin.Delete(ctx, key)).To(Or(Succeed(), MatchError(apierrors.IsNotFound, "is gone")))
			Expect(admin.Patch(ctx, key, released)).To(Or(Succeed(), MatchError(apierrors.IsNotFound, "is gone")))
		}
		Expect(admin.DeleteAllOf(ctx, &v1alpha1.Organization{})).To(Succeed())
	})
}, OncePerOrdered)

func clientOf(config *rest.Config) client.WithWatch {
	GinkgoHelper()
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// account returns the configuration of a service account of the operator.
func account(ctx context.Context, name string) *rest.Config {
	GinkgoHelper()
	config, err := plane.ServiceAccount(ctx, systemNamespace, name)
	Expect(err).NotTo(HaveOccurred())
	config.QPS = -1
	return config
}

// pod returns the configuration of an auth server in the pod of this name, and the name
// of its Lease. Who is started in the same pod again takes over the Lease.
func pod(ctx context.Context, name string) (*rest.Config, string) {
	GinkgoHelper()
	config, uid, err := plane.Pod(ctx, systemNamespace, serverAccount, "authserver-"+name)
	Expect(err).NotTo(HaveOccurred())
	config.QPS = -1
	return config, "authserver-" + string(uid)
}

// What the programs logged tells why a spec failed.
var _ = ReportAfterSuite("logs", func(report Report) {
	if !report.SuiteSucceeded {
		GinkgoWriter.Printf("%s\n%s\n", logs.Bytes(), trail.Bytes())
	}
})
