// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// denying is another product's admission webhook: it denies what the manager writes, without
// a code, and quotes what it was sent. Stopped, it cannot be reached.
func denying(ctx SpecContext, namespace string, stopped bool, rule admissionregistrationv1.Rule, operations ...admissionregistrationv1.OperationType) (lift func()) {
	GinkgoHelper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		review := &admissionv1.AdmissionReview{}
		if err != nil || json.Unmarshal(body, review) != nil {
			http.Error(w, "no review", http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Result: &metav1.Status{Message: base64.StdEncoding.EncodeToString(review.Request.Object.Raw)}}
		review.Request = nil
		_ = json.NewEncoder(w).Encode(review)
	}))
	DeferCleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	url := server.URL
	if stopped {
		server.Close()
	}
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "denies-in-" + namespace},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name:         "deny.example.com",
			ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: ptr.To(url + "/deny"), CABundle: ca},
			Rules:        []admissionregistrationv1.RuleWithOperations{{Operations: operations, Rule: rule}},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{
				corev1.LabelMetadataName: namespace,
			}},
			MatchConditions: []admissionregistrationv1.MatchCondition{{
				Name: "of-the-manager", Expression: `request.userInfo.username.endsWith(":` + managerAccount + `")`,
			}},
			SideEffects: ptr.To(admissionregistrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"}, TimeoutSeconds: ptr.To[int32](2),
		}},
	}
	Expect(admin.Create(ctx, configuration)).To(Succeed())
	lift = func() { Expect(client.IgnoreNotFound(admin.Delete(ctx, configuration.DeepCopy()))).To(Succeed()) }
	DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(admin.Delete(ctx, configuration))).To(Succeed()) })
	// The API server learns of it by a watch.
	probe := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "probe"}}
	if rule.Resources[0] == "secrets" {
		asManager := clientOf(account(ctx, managerAccount))
		Eventually(func() error {
			switch operations[0] {
			case admissionregistrationv1.Create:
				return asManager.Create(ctx, probe.DeepCopy(), client.DryRunAll)
			case admissionregistrationv1.Update, admissionregistrationv1.Delete, admissionregistrationv1.Connect, admissionregistrationv1.OperationAll:
				return denied(ctx, asManager, namespace, operations[0])
			}
			return nil
		}).Should(MatchError(ContainSubstring("deny.example.com")))
	}
	return lift
}

// denied tries a change of some Secret of a namespace, without making it.
func denied(ctx SpecContext, c client.Client, namespace string, operation admissionregistrationv1.OperationType) error {
	list := &corev1.SecretList{}
	Expect(admin.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
	Expect(list.Items).NotTo(BeEmpty())
	if operation == admissionregistrationv1.Delete {
		return c.Delete(ctx, &list.Items[0], client.DryRunAll)
	}
	return c.Update(ctx, &list.Items[0], client.DryRunAll)
}

var (
	secretRule = admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"secrets"}}
	keyRule    = admissionregistrationv1.Rule{APIGroups: []string{v1alpha1.GroupVersion.Group}, APIVersions: []string{"*"}, Resources: []string{"apikeys"}}
)

var _ = Describe("What another product's admission webhook denies", func() {
	var t *tenant
	BeforeEach(func(ctx SpecContext) {
		startAuthServer(ctx, "denied")
		startManager(ctx, account(ctx, managerAccount))
		t = newTenant(ctx)
	})
	// says waits until a condition tells of it, within seconds.
	says := func(ctx SpecContext, key *v1alpha1.APIKey, reason, code string) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			ready := meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionReady)
			g.Expect(ready).NotTo(BeNil())
			g.Expect(ready.Reason).To(Equal(reason), ready.Message)
			g.Expect(ready.Message).To(ContainSubstring("(admission webhook deny.example.com, code " + code + ")"))
			g.Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionStalled)).To(BeTrue())
		}).WithTimeout(20 * time.Second).Should(Succeed())
	}

	for how, stopped := range map[string]bool{"without a code": false, "because it cannot be reached": true} {
		code := map[bool]string{false: "400", true: "500"}[stopped]
		It("is said when it is the creation of the Secret, "+how, func(ctx SpecContext) {
			lift := denying(ctx, t.namespace, stopped, secretRule, admissionregistrationv1.Create)
			key := t.key("created")
			Expect(admin.Create(ctx, key)).To(Succeed())
			says(ctx, key, v1alpha1.ReasonSecretRefused, code)
			lift()
			Eventually(func(g Gomega) {
				g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
				g.Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
			}).WithTimeout(40 * time.Second).Should(Succeed())
		})

		It("is said when it is a change of the Secret, while the key works, "+how, func(ctx SpecContext) {
			key := t.mint(ctx, "changed")
			denying(ctx, t.namespace, stopped, secretRule, admissionregistrationv1.Update)
			change(ctx, key, func(k *v1alpha1.APIKey) {
				k.Spec.Secret.Labels = map[string]v1alpha1.LabelValue{"app.kubernetes.io/part-of": "agent"}
			})
			says(ctx, key, v1alpha1.ReasonSecretRefused, code)
			Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionServing)).To(BeTrue())
		})

		It("is said when it is the end of the Secret, and holds the APIKey no longer than that, "+how, func(ctx SpecContext) {
			key := t.mint(ctx, "deleted")
			lift := denying(ctx, t.namespace, stopped, secretRule, admissionregistrationv1.Delete)
			Expect(admin.Delete(ctx, key)).To(Succeed())
			says(ctx, key, v1alpha1.ReasonSecretRefused, code)
			lift()
			Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(key), key) }).WithTimeout(40 * time.Second).Should(MatchError(apierrors.IsNotFound, "gone"))
		})

		It("is said when it is the finalizer of the APIKey, and nothing is registered, "+how, func(ctx SpecContext) {
			lift := denying(ctx, t.namespace, stopped, keyRule, admissionregistrationv1.Update)
			key := t.key("unfinalized")
			Expect(admin.Create(ctx, key)).To(Succeed())
			says(ctx, key, v1alpha1.ReasonWriteRefused, code)
			Expect(key.Status.Versions).To(BeEmpty())
			lift()
			Eventually(func(g Gomega) {
				g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
				g.Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
			}).WithTimeout(40 * time.Second).Should(Succeed())
		})

		It("is said when it is the end of the finalizer, "+how, func(ctx SpecContext) {
			key := t.mint(ctx, "held")
			lift := denying(ctx, t.namespace, stopped, keyRule, admissionregistrationv1.Update)
			Eventually(func() error {
				return clientOf(account(ctx, managerAccount)).Patch(ctx, key.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"a":"b"}}}`)), client.DryRunAll)
			}).Should(MatchError(ContainSubstring("deny.example.com")))
			Expect(admin.Delete(ctx, key)).To(Succeed())
			says(ctx, key, v1alpha1.ReasonWriteRefused, code)
			lift()
			Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(key), key) }).WithTimeout(40 * time.Second).Should(MatchError(apierrors.IsNotFound, "gone"))
		})

		It("is an event when it is the status, "+how, func(ctx SpecContext) {
			rule := keyRule
			rule.Resources = []string{"apikeys/status"}
			denying(ctx, t.namespace, stopped, rule, admissionregistrationv1.Update)
			key := t.key("unwritten")
			Expect(admin.Create(ctx, key)).To(Succeed())
			Eventually(func() []string { return eventNotes(ctx, key, v1alpha1.EventNotWritten) }).WithTimeout(30 * time.Second).Should(
				ConsistOf(ContainSubstring("admission webhook deny.example.com, code " + code)))
		})
	}
})
