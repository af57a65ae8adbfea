// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// reduction is a change that takes something away from a key.
type reduction struct {
	tenant    *tenant
	key       *v1alpha1.APIKey
	plaintext []byte
	// apply makes the change.
	apply func()
	// refusal is what an auth server answers that goes by it.
	refusal int
	// told returns the condition that says who is waited for, and whether nobody is.
	told func() (condition *metav1.Condition, complete bool)
}

// conditionOf returns a condition as the API server has it now.
func conditionOf(ctx SpecContext, obj client.Object, conditions *[]metav1.Condition, conditionType string) *metav1.Condition {
	GinkgoHelper()
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
	return meta.FindStatusCondition(*conditions, conditionType)
}

func (r *reduction) withdrawn(ctx SpecContext) func() (*metav1.Condition, bool) {
	return func() (*metav1.Condition, bool) {
		c := conditionOf(ctx, r.key, &r.key.Status.Conditions, v1alpha1.ConditionRegistered)
		return c, c != nil && c.Reason == v1alpha1.ReasonRevoked
	}
}

var _ = Describe("What is taken away from a key", func() {
	It("is reported as complete when no auth server goes by what was before", func(ctx SpecContext) {
		silenced := &silencer{}
		heard := startAuthServer(ctx, "t")
		lost := startAuthServer(ctx, "u", silenced.wrap)
		DeferCleanup(func() { silenced.silent.Store(false) })
		startManager(ctx, account(ctx, managerAccount))

		expiry := time.Now().Add(8 * time.Second)
		reductions := map[string]*reduction{}
		begin := func(name string, refusal int, specify ...func(*v1alpha1.APIKey)) *reduction {
			GinkgoHelper()
			t := newTenant(ctx)
			r := &reduction{tenant: t, key: t.mint(ctx, name, specify...), refusal: refusal}
			r.plaintext = plaintextOf(ctx, r.key)
			r.told = r.withdrawn(ctx)
			Expect(lost.status(r.plaintext)).To(Equal(http.StatusOK))
			reductions[name] = r
			return r
		}
		suspended := begin("suspended", http.StatusUnauthorized)
		suspended.apply = func() { change(ctx, suspended.key, func(k *v1alpha1.APIKey) { k.Spec.Suspend = true }) }
		forbidden := begin("forbidden", http.StatusUnauthorized)
		forbidden.apply = func() { relabel(ctx, forbidden.tenant, "other") }
		closed := begin("closed", http.StatusUnauthorized)
		closed.apply = func() {
			change(ctx, closed.tenant.organization, func(o *v1alpha1.Organization) { o.Spec.Suspend = true })
		}
		expiring := begin("expiring", http.StatusUnauthorized, func(k *v1alpha1.APIKey) { k.Spec.ExpirationTime = ptr.To(metav1.NewTime(expiry)) })
		expiring.apply = func() {}
		narrowed := begin("narrowed", http.StatusForbidden)
		narrowed.apply = func() {
			change(ctx, narrowed.key, func(k *v1alpha1.APIKey) { k.Spec.Scopes = []v1alpha1.Scope{v1alpha1.ScopeIngest} })
		}
		narrowed.told = func() (*metav1.Condition, bool) {
			registered := conditionOf(ctx, narrowed.key, &narrowed.key.Status.Conditions, v1alpha1.ConditionRegistered)
			Expect(registered.Status).To(Equal(metav1.ConditionTrue), "the key works, if for less")
			return meta.FindStatusCondition(narrowed.key.Status.Conditions, v1alpha1.ConditionReconciling), narrowed.key.Status.AppliedGeneration == narrowed.key.Generation
		}
		curtailed := begin("curtailed", http.StatusForbidden)
		curtailed.apply = func() {
			change(ctx, curtailed.tenant.organization, func(o *v1alpha1.Organization) { o.Spec.Scopes = []v1alpha1.Scope{v1alpha1.ScopeIngest} })
		}
		curtailed.told = func() (*metav1.Condition, bool) {
			organization := curtailed.tenant.organization
			reconciling := conditionOf(ctx, organization, &organization.Status.Conditions, v1alpha1.ConditionReconciling)
			return reconciling, organization.Status.AppliedGeneration == organization.Generation
		}

		silenced.silent.Store(true)
		for _, r := range reductions {
			r.apply()
		}
		for name, r := range reductions {
			Eventually(func() string {
				condition, complete := r.told()
				Expect(complete).To(BeFalse(), "%s: complete, while an auth server goes by what was", name)
				if condition == nil {
					return ""
				}
				return condition.Reason + ": " + condition.Message
			}).Should(And(MatchRegexp("^(Revoking|Applying): Waiting for 1 of 2 auth servers"), HaveSuffix(": "+lost.name+" (last renewed "+lastRenewed(ctx, lost)+").")), name)
			Expect(heard.status(r.plaintext)).To(Equal(r.refusal), name)
		}
		Expect(lost.status(suspended.plaintext)).To(Equal(http.StatusOK), "a replica that does not know better")
		for name, r := range reductions {
			Eventually(func() bool {
				_, complete := r.told()
				return complete
			}).WithTimeout(30*time.Second).Should(BeTrue(), name)
			Expect(lost.statusOnce(r.plaintext)).To(Equal(http.StatusServiceUnavailable), name)
		}
	}, NodeTimeout(90*time.Second))
})

// lastRenewed is the renewTime of an auth server's Lease, as messages give it.
func lastRenewed(ctx SpecContext, server *authServer) string {
	GinkgoHelper()
	return leaseOf(ctx, server).Spec.RenewTime.UTC().Format(time.RFC3339)
}
