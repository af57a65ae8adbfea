// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
)

var _ = Describe("A key", Ordered, func() {
	var replicas []*authServer

	BeforeAll(func(ctx SpecContext) {
		replicas = []*authServer{startAuthServer(ctx, "c"), startAuthServer(ctx, "d")}
		startManager(ctx, account(ctx, managerAccount))
	})

	expectStatus := func(plaintext []byte, status int) {
		GinkgoHelper()
		for _, replica := range replicas {
			Eventually(replica.status).WithArguments(plaintext).Should(Equal(status), "at %s", replica.name)
		}
	}

	Describe("whose Secret is touched by hand", func() {
		DescribeTable("is revoked, and another takes its place",
			func(ctx SpecContext, touch func(SpecContext, *corev1.Secret)) {
				key := newTenant(ctx).mint(ctx, "drifting")
				old, oldID := plaintextOf(ctx, key), key.Status.KeyID
				touch(ctx, secretOf(ctx, key))
				awaitReplaced(ctx, key, oldID)
				expectStatus(old, http.StatusUnauthorized)
				expectStatus(plaintextOf(ctx, key), http.StatusOK)
				awaitVersions(ctx, key, v1alpha1.VersionActive)
				Expect(secretOf(ctx, key).Data).To(HaveLen(3))
				Eventually(audited).WithArguments(key).Should(ConsistOf("Minted", "Published", "DriftRepaired", "Published", "Revoked"))
				Eventually(eventReasons).WithArguments(ctx, key).Should(ContainElement(v1alpha1.EventSecretDrifted))
			},
			Entry("when it was deleted", func(ctx SpecContext, secret *corev1.Secret) {
				Expect(admin.Delete(ctx, secret)).To(Succeed())
			}),
			Entry("when the key was edited", func(ctx SpecContext, secret *corev1.Secret) {
				change(ctx, secret, func(s *corev1.Secret) { s.Data["api-key"] = []byte("hxk_other") })
			}),
			Entry("when the key was removed", func(ctx SpecContext, secret *corev1.Secret) {
				change(ctx, secret, func(s *corev1.Secret) { delete(s.Data, "api-key") })
			}),
			Entry("when it was deleted and its label had been taken off", func(ctx SpecContext, secret *corev1.Secret) {
				change(ctx, secret, func(s *corev1.Secret) { delete(s.Labels, v1alpha1.LabelAPIKey) })
				Expect(admin.Delete(ctx, secret)).To(Succeed())
			}),
		)

		DescribeTable("stays, when only a mark of the operator was touched",
			func(ctx SpecContext, touch func(*corev1.Secret)) {
				key := newTenant(ctx).mint(ctx, "marked")
				before := secretOf(ctx, key)
				change(ctx, secretOf(ctx, key), touch)
				Eventually(func(g Gomega) {
					after := secretOf(ctx, key)
					g.Expect(after.Labels).To(Equal(before.Labels))
					g.Expect(after.Annotations).To(Equal(before.Annotations))
				}).Should(Succeed())
				Expect(secretOf(ctx, key).Data).To(Equal(before.Data))
				expectStatus(before.Data["api-key"], http.StatusOK)
				Eventually(audited).WithArguments(key).Should(Equal([]string{"Minted", "Published"}))
			},
			Entry("its label", func(s *corev1.Secret) { delete(s.Labels, v1alpha1.LabelAPIKey) }),
			Entry("the digest of its data", func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.AnnotationDataDigest) }),
			Entry("its key ID", func(s *corev1.Secret) { s.Annotations[v1alpha1.AnnotationKeyID] = "000000000000" }),
		)
	})

	It("stays the same when the form of its Secret changes", func(ctx SpecContext) {
		key := newTenant(ctx).mint(ctx, "formed", func(k *v1alpha1.APIKey) {
			k.Spec.Secret.Labels = map[string]v1alpha1.LabelValue{"goes": "1", "stays": "1"}
		})
		plaintext := plaintextOf(ctx, key)
		change(ctx, secretOf(ctx, key), func(s *corev1.Secret) { s.Labels["of-another"] = "1" })
		change(ctx, key, func(k *v1alpha1.APIKey) {
			k.Spec.Secret.Labels = map[string]v1alpha1.LabelValue{"stays": "1"}
			k.Spec.Secret.Data = map[string]v1alpha1.DataTemplate{"header": "X-API-Key: $(API_KEY)", "org": "$(ORGANIZATION_ID)"}
		})
		Eventually(func() map[string][]byte { return secretOf(ctx, key).Data }).Should(Equal(map[string][]byte{
			"api-key": plaintext, "header": append([]byte("X-API-Key: "), plaintext...), "org": []byte(key.Status.OrganizationID),
		}))
		Expect(secretOf(ctx, key).Labels).To(Equal(map[string]string{
			"stays": "1", "of-another": "1", v1alpha1.LabelAPIKey: "formed",
		}))
		awaitReady(ctx, key)
		expectStatus(plaintext, http.StatusOK)
		Eventually(audited).WithArguments(key).Should(Equal([]string{"Minted", "Published"}))
	})

	It("loses a label of its Secret that its manifest no longer has", func(ctx SpecContext) {
		key := newTenant(ctx).mint(ctx, "labelled", func(k *v1alpha1.APIKey) {
			k.Spec.Secret.Labels = map[string]v1alpha1.LabelValue{"goes": "1"}
		})
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Secret.Labels = nil })
		Eventually(func() map[string]string { return secretOf(ctx, key).Labels }).ShouldNot(HaveKey("goes"))
	})

	It("gets its finalizer back when its manifest is replaced whole", func(ctx SpecContext) {
		key := newTenant(ctx).mint(ctx, "replaced")
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Finalizers = nil })
		Eventually(func() []string {
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			return key.Finalizers
		}).Should(ConsistOf(v1alpha1.Finalizer))
	})

	It("stops while it is suspended, and then works again", func(ctx SpecContext) {
		key := newTenant(ctx).mint(ctx, "suspended")
		plaintext := plaintextOf(ctx, key)
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Suspend = true })
		expectStatus(plaintext, http.StatusUnauthorized)
		condition := awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonSuspended)
		Expect(condition.Message).To(ContainSubstring("spec.suspend"))
		awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonRevoked)
		Expect(condition.Status).To(Equal(metav1.ConditionTrue), "it is as it was asked for")
		Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionStalled)).To(BeFalse())
		Expect(meta.IsStatusConditionFalse(key.Status.Conditions, v1alpha1.ConditionServing)).To(BeTrue())
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Suspend = false })
		expectStatus(plaintext, http.StatusOK)
		awaitReady(ctx, key)
		Eventually(audited).WithArguments(key).Should(Equal([]string{"Minted", "Published", "Suspended", "Resumed"}))
	})

	It("expires by itself, and works again when it may live longer", func(ctx SpecContext) {
		key := newTenant(ctx).mint(ctx, "expiring")
		plaintext := plaintextOf(ctx, key)
		Expect(replicas[0].status(plaintext)).To(Equal(http.StatusOK))
		change(ctx, key, func(k *v1alpha1.APIKey) {
			k.Spec.ExpirationTime = ptr.To(metav1.NewTime(time.Now().Add(3 * time.Second)))
		})
		expectStatus(plaintext, http.StatusUnauthorized)
		awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonExpired)
		awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonRevoked)
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.ExpirationTime = nil })
		expectStatus(plaintext, http.StatusOK)
		awaitReady(ctx, key)
		Eventually(audited).WithArguments(key).Should(Equal([]string{"Minted", "Published", "Expired", "Resumed"}))
	})

	DescribeTable("stops when its organization no longer permits it, says why, and comes back",
		func(ctx SpecContext, reason string, withdraw, permit func(SpecContext, *tenant)) {
			t := newTenant(ctx)
			key := t.mint(ctx, "permitted")
			plaintext := plaintextOf(ctx, key)
			withdraw(ctx, t)
			expectStatus(plaintext, http.StatusUnauthorized)
			condition := awaitReason(ctx, key, v1alpha1.ConditionPermitted, reason)
			Expect(condition.Message).To(ContainSubstring(t.organization.Name))
			awaitReason(ctx, key, v1alpha1.ConditionReady, reason)
			awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonRevoked)
			permit(ctx, t)
			awaitReady(ctx, key)
			expectStatus(plaintext, http.StatusOK)
			Expect(plaintextOf(ctx, key)).To(Equal(plaintext))
		},
		Entry("when the namespace loses its label", v1alpha1.ReasonNamespaceNotPermitted,
			func(ctx SpecContext, t *tenant) { relabel(ctx, t, "other") },
			func(ctx SpecContext, t *tenant) { relabel(ctx, t, t.namespace) }),
		Entry("when the selector changes", v1alpha1.ReasonNamespaceNotPermitted,
			func(ctx SpecContext, t *tenant) {
				change(ctx, t.organization, func(o *v1alpha1.Organization) { o.Spec.Namespaces.Selector = nil })
			},
			func(ctx SpecContext, t *tenant) {
				change(ctx, t.organization, func(o *v1alpha1.Organization) {
					o.Spec.Namespaces.Selector = metav1.SetAsLabelSelector(labels.Set{corev1.LabelMetadataName: t.namespace})
				})
			}),
		Entry("when the organization is suspended", v1alpha1.ReasonOrganizationSuspended,
			func(ctx SpecContext, t *tenant) {
				change(ctx, t.organization, func(o *v1alpha1.Organization) { o.Spec.Suspend = true })
			},
			func(ctx SpecContext, t *tenant) {
				change(ctx, t.organization, func(o *v1alpha1.Organization) { o.Spec.Suspend = false })
			}),
		Entry("when the organization is deleted", v1alpha1.ReasonOrganizationNotFound,
			func(ctx SpecContext, t *tenant) { Expect(admin.Delete(ctx, t.organization.DeepCopy())).To(Succeed()) },
			func(ctx SpecContext, t *tenant) {
				t.organization.ResourceVersion = ""
				Expect(admin.Create(ctx, t.organization)).To(Succeed())
			}),
	)

	It("never works for an organization that was made anew with another id", func(ctx SpecContext) {
		t := newTenant(ctx)
		key := t.mint(ctx, "faithful")
		plaintext := plaintextOf(ctx, key)
		Expect(admin.Delete(ctx, t.organization.DeepCopy())).To(Succeed())
		awaitReason(ctx, key, v1alpha1.ConditionPermitted, v1alpha1.ReasonOrganizationNotFound)
		t.organization.ResourceVersion, t.organization.Spec.ID = "", "another"
		Expect(admin.Create(ctx, t.organization)).To(Succeed())
		awaitReason(ctx, key, v1alpha1.ConditionPermitted, v1alpha1.ReasonOrganizationChanged)
		expectStatus(plaintext, http.StatusUnauthorized)
	})

	It("has the scopes of its organization, and no more, from the moment they change", func(ctx SpecContext) {
		t := newTenant(ctx)
		plaintext := plaintextOf(ctx, t.mint(ctx, "narrowed"))
		expectStatus(plaintext, http.StatusOK)
		change(ctx, t.organization, func(o *v1alpha1.Organization) { o.Spec.Scopes = []v1alpha1.Scope{v1alpha1.ScopeIngest} })
		expectStatus(plaintext, http.StatusForbidden)
	})
})

func relabel(ctx SpecContext, t *tenant, value string) {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: t.namespace}}
	change(ctx, namespace, func(n *corev1.Namespace) { n.Labels = map[string]string{"team": value} })
}

// audited are the actions of the audit trail for one APIKey, in their order.
func audited(key *v1alpha1.APIKey) []string {
	GinkgoHelper()
	var actions []string
	lines := bufio.NewScanner(bytes.NewReader(trail.Bytes()))
	for lines.Scan() {
		var event audit.Event
		Expect(json.Unmarshal(lines.Bytes(), &event)).To(Succeed())
		if event.UID == key.UID {
			actions = append(actions, string(event.Action))
		}
	}
	return actions
}
