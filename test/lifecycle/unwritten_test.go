// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/controllers"
)

// movedClock is ahead of the real one, by as much as it was moved.
type movedClock struct {
	clock.RealClock
	lead *atomic.Int64
}

func (c movedClock) Now() time.Time                  { return c.RealClock.Now().Add(time.Duration(c.lead.Load())) }
func (c movedClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// forbidWrites has a policy, as of another product's, refuse what the manager writes to
// APIKeys of a namespace, until lift is called or the spec ends.
func forbidWrites(ctx context.Context, namespace string) (lift func(context.Context)) {
	GinkgoHelper()
	name := metav1.ObjectMeta{Name: "no-writes-in-" + namespace}
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: name, Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update},
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{v1alpha1.GroupVersion.Group}, APIVersions: []string{"*"}, Resources: []string{"apikeys", "apikeys/status"}},
		}}}},
		Validations: []admissionregistrationv1.Validation{{Expression: fmt.Sprintf("request.namespace != %q || !request.userInfo.username.endsWith(%q)", namespace, ":"+managerAccount), Message: "SECRET text of a policy"}},
	}}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: name, Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: policy.Name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
	}}
	Expect(admin.Create(ctx, policy)).To(Succeed())
	Expect(admin.Create(ctx, binding)).To(Succeed())
	lift = func(ctx context.Context) {
		Expect(client.IgnoreNotFound(admin.Delete(ctx, binding.DeepCopy()))).To(Succeed())
		Expect(client.IgnoreNotFound(admin.Delete(ctx, policy.DeepCopy()))).To(Succeed())
	}
	DeferCleanup(func(ctx SpecContext) { lift(ctx) })
	return lift
}

var _ = Describe("An APIKey of which the API server refuses what the manager writes", func() {
	It("is told of once, and goes when it can be written", func(ctx SpecContext) {
		server := startAuthServer(ctx, "one")
		lead, metrics := &atomic.Int64{}, prometheus.NewRegistry()
		startManager(ctx, account(ctx, managerAccount), func(o *controllers.Options) {
			o.Clock, o.Metrics = movedClock{lead: lead}, metrics
		})
		key := newTenant(ctx).mint(ctx, "prod-agent")
		plaintext := plaintextOf(ctx, key)

		lift := forbidWrites(ctx, key.Namespace)
		asManager := clientOf(account(ctx, managerAccount))
		Eventually(func() error {
			return asManager.Status().Patch(ctx, key.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"status":{"keyID":"seven"}}`)), client.DryRunAll)
		}).Should(MatchError(apierrors.IsInvalid, "refused"))
		Expect(admin.Delete(ctx, key)).To(Succeed())
		Eventually(func() int { return server.status(plaintext) }).Should(Equal(http.StatusUnauthorized))
		Eventually(func() int {
			return len(requests(func(e auditv1.Event) bool {
				return e.ObjectRef.Namespace == key.Namespace && e.ObjectRef.Subresource == "" && e.ObjectRef.Resource == "apikeys" && e.ResponseStatus.Code == http.StatusUnprocessableEntity
			}))
		}).Should(BeNumerically(">", 2), "the manager has not tried again")
		Expect(gauge(metrics, "apikey_manager_unwritten_objects", "")).To(BeZero())

		lead.Store(int64(61 * time.Second))
		Eventually(func() []string { return eventNotes(ctx, key, v1alpha1.EventNotWritten) }).Should(
			ConsistOf(And(ContainSubstring("Look at admission policies"), Not(ContainSubstring("SECRET")))))
		Expect(gauge(metrics, "apikey_manager_unwritten_objects", "")).To(Equal(1.0))

		lift(ctx)
		Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(key), key) }).WithTimeout(time.Minute).Should(MatchError(apierrors.IsNotFound, "gone"))
		Eventually(func() float64 { return gauge(metrics, "apikey_manager_unwritten_objects", "") }).Should(BeZero())
	})
})
