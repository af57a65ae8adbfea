// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

var _ = Describe("Bad input", Ordered, func() {
	BeforeAll(func(ctx SpecContext) {
		startAuthServer(ctx, "e")
		startAuthServer(ctx, "f")
		startManager(ctx, account(ctx, managerAccount))
	})

	DescribeTable("is answered by a condition that says what to do, and nothing is minted",
		func(ctx SpecContext, conditionType, reason, advice string, spoil func(SpecContext, *tenant, *v1alpha1.APIKey)) {
			t := newTenant(ctx, func(o *v1alpha1.Organization) { o.Spec.Scopes = []v1alpha1.Scope{v1alpha1.ScopeIngest} })
			key := t.key("bad")
			spoil(ctx, t, key)
			Expect(admin.Create(ctx, key)).To(Succeed())
			condition := awaitReason(ctx, key, conditionType, reason)
			status := metav1.ConditionFalse
			if reason == v1alpha1.ReasonExpired { // which is as it was asked for
				status = metav1.ConditionTrue
			}
			Expect(condition.Status).To(Equal(status))
			Expect(condition.Message).To(ContainSubstring(advice))
			awaitReason(ctx, key, v1alpha1.ConditionReady, reason)
			mayCome := slices.Contains([]string{v1alpha1.ReasonOrganizationNotFound, v1alpha1.ReasonNamespaceNotPermitted, v1alpha1.ReasonScopeNotPermitted}, reason)
			Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionStalled)).To(Equal(!mayCome && reason != v1alpha1.ReasonExpired))
			Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReconciling)).To(Equal(mayCome))
			Expect(key.Status.Versions).To(BeEmpty())
			Expect(audited(key)).NotTo(ContainElement("Minted"))
			Expect(admin.Delete(ctx, key)).To(Succeed())
			awaitGone(ctx, key)
		},
		Entry("an unknown organization", v1alpha1.ConditionPermitted, v1alpha1.ReasonOrganizationNotFound, "Ask a platform admin to create it",
			func(_ SpecContext, _ *tenant, k *v1alpha1.APIKey) { k.Spec.OrganizationRef.Name = "nobody" }),
		Entry("a namespace that is not permitted", v1alpha1.ConditionPermitted, v1alpha1.ReasonNamespaceNotPermitted, "Ask a platform admin to have spec.namespaces.selector match it",
			func(ctx SpecContext, t *tenant, _ *v1alpha1.APIKey) { relabel(ctx, t, "other") }),
		Entry("a scope that the organization does not have", v1alpha1.ConditionPermitted, v1alpha1.ReasonScopeNotPermitted, "out of spec.scopes",
			func(_ SpecContext, _ *tenant, k *v1alpha1.APIKey) {
				k.Spec.Scopes = []v1alpha1.Scope{v1alpha1.ScopeIngest, v1alpha1.ScopeQuery}
			}),
		Entry("a selector that cannot be read", v1alpha1.ConditionPermitted, v1alpha1.ReasonInvalidSelector, "cannot be read",
			func(ctx SpecContext, t *tenant, _ *v1alpha1.APIKey) {
				change(ctx, t.organization, func(o *v1alpha1.Organization) {
					o.Spec.Namespaces.Selector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}}
				})
			}),
		Entry("a Secret in the way", v1alpha1.ConditionPublished, v1alpha1.ReasonSecretConflict, "Delete it, or create another APIKey",
			func(ctx SpecContext, t *tenant, _ *v1alpha1.APIKey) {
				Expect(admin.Create(ctx, secretInTheWay(t, "bad"))).To(Succeed())
			}),
		Entry("an expiry in the past", v1alpha1.ConditionReady, v1alpha1.ReasonExpired, "set a later time",
			func(_ SpecContext, _ *tenant, k *v1alpha1.APIKey) {
				k.Spec.ExpirationTime = ptr.To(metav1.NewTime(time.Now().Add(-time.Hour)))
			}),
		Entry("a variable that does not exist", v1alpha1.ConditionPublished, v1alpha1.ReasonInvalidTemplate, "API_KEY",
			func(_ SpecContext, _ *tenant, k *v1alpha1.APIKey) {
				k.Spec.Secret.Data = map[string]v1alpha1.DataTemplate{"header": "$(API_KAY)"}
			}),
	)

	It("leaves a Secret in the way as it is, and goes on when it is gone", func(ctx SpecContext) {
		t := newTenant(ctx)
		obstacle := secretInTheWay(t, "bad")
		Expect(admin.Create(ctx, obstacle)).To(Succeed())
		key := t.key("bad")
		Expect(admin.Create(ctx, key)).To(Succeed())
		awaitReason(ctx, key, v1alpha1.ConditionPublished, v1alpha1.ReasonSecretConflict)
		untouched := obstacle.DeepCopy()
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(obstacle), untouched)).To(Succeed())
		Expect(untouched).To(Equal(obstacle))
		Expect(admin.Delete(ctx, obstacle)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
		}).WithTimeout(40 * time.Second).Should(Succeed())
	})

	It("says that the API server refuses the Secret, and goes on when it does not", func(ctx SpecContext) {
		t := newTenant(ctx)
		quota := &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: "none"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/secrets": resource.MustParse("0")}},
		}
		Expect(admin.Create(ctx, quota)).To(Succeed())
		Eventually(func() error {
			return admin.Create(ctx, secretInTheWay(t, "bad"), client.DryRunAll)
		}).Should(MatchError(apierrors.IsForbidden, "refused by the quota"))
		key := t.key("refused")
		Expect(admin.Create(ctx, key)).To(Succeed())
		condition := awaitReason(ctx, key, v1alpha1.ConditionPublished, v1alpha1.ReasonSecretRefused)
		Expect(condition.Message).To(ContainSubstring("quotas"))
		Expect(admin.Delete(ctx, quota)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
		}).WithTimeout(40 * time.Second).Should(Succeed())
	})

	It("never delays good input beside it", func(ctx SpecContext) {
		const count = 50
		good, bad := newTenant(ctx), newTenant(ctx)
		obstacle := secretInTheWay(bad, "obstacle")
		Expect(admin.Create(ctx, obstacle)).To(Succeed())
		alone := timeToReady(ctx, good, "alone", count)

		for i := range count {
			Expect(admin.Create(ctx, bad.key(fmt.Sprint("bad-", i), func(k *v1alpha1.APIKey) {
				switch i % 3 {
				case 0:
					k.Spec.OrganizationRef.Name = "nobody"
				case 1:
					k.Spec.Secret.Name = "obstacle"
				default:
					k.Spec.Secret.Data = map[string]v1alpha1.DataTemplate{"header": "$(API_KAY)"}
				}
			}))).To(Succeed())
		}
		beside := timeToReady(ctx, good, "beside", count)

		list := &v1alpha1.APIKeyList{}
		Expect(admin.List(ctx, list, client.InNamespace(bad.namespace))).To(Succeed())
		Expect(list.Items).To(HaveLen(count))
		for i := range list.Items {
			Expect(list.Items[i].Status.Versions).To(BeEmpty())
		}

		// What else the machine does may have begun or ended meanwhile: so once more alone.
		Expect(admin.DeleteAllOf(ctx, &v1alpha1.APIKey{}, client.InNamespace(bad.namespace))).To(Succeed())
		for i := range list.Items {
			awaitGone(ctx, &list.Items[i])
		}
		again := timeToReady(ctx, good, "again", count)
		AddReportEntry("50 good keys", fmt.Sprintf("alone %s, beside 50 bad ones %s, alone again %s", alone, beside, again))
		// Twice as long would be a good key's turn after each bad one's.
		Expect(beside).To(BeNumerically("<", 2*max(alone, again)+500*time.Millisecond))
	})
})

// timeToReady is how long it takes from the first of count APIKeys to the last
// that is Ready.
func timeToReady(ctx SpecContext, t *tenant, prefix string, count int) time.Duration {
	GinkgoHelper()
	began := time.Now()
	keys := make([]*v1alpha1.APIKey, count)
	for i := range keys {
		keys[i] = t.key(fmt.Sprintf("%s-%d", prefix, i))
		Expect(admin.Create(ctx, keys[i])).To(Succeed())
	}
	for _, key := range keys {
		awaitReady(ctx, key)
	}
	return time.Since(began)
}

func secretInTheWay(t *tenant, name string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: name},
		Data:       map[string][]byte{"password": []byte(strings.Repeat("x", 8))},
	}
}
