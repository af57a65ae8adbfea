// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/controllers"
)

// notATime is RFC 3339, which permits a lower case t, and no time to Go.
const notATime = "2027-01-01t00:00:00z"

var _ = Describe("An object that cannot be decoded, or is too large", Ordered, ContinueOnFailure, func() {
	var (
		server      *authServer
		stopManager func()
		metrics     *prometheus.Registry
	)
	observed := func(o *controllers.Options) {
		metrics = prometheus.NewRegistry()
		o.Metrics = metrics
	}
	BeforeAll(func(ctx SpecContext) {
		server = startAuthServer(ctx, "invalid")
	})
	BeforeEach(func(ctx SpecContext) {
		stopManager = startManager(ctx, account(ctx, managerAccount), observed)
	})

	It("costs itself only: others are minted, suspended and deleted, also by a manager that has just started", func(ctx SpecContext) {
		t := newTenant(ctx)
		before := t.mint(ctx, "before")
		plaintext := plaintextOf(ctx, before)
		Expect(server.status(plaintext)).To(Equal(http.StatusOK))

		bad := createUndecodable(ctx, t.namespace, "bad", t.organization.Name)
		stray := createUndecodable(ctx, "default", "stray", "nobody")
		for _, key := range []*v1alpha1.APIKey{bad, stray} {
			condition := awaitReason(ctx, key, v1alpha1.ConditionPermitted, v1alpha1.ReasonInvalidObject)
			Expect(condition.Message).To(Equal(`spec.expirationTime cannot be decoded: "2027-01-01t00:00:00z". Correct it, or delete the object.`))
			awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonInvalidObject)
			Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionStalled)).To(BeTrue())
			Expect(key.Status.Versions).To(BeEmpty())
		}
		Eventually(func(g Gomega) {
			told := &eventsv1.EventList{}
			g.Expect(admin.List(ctx, told, client.InNamespace(t.namespace))).To(Succeed())
			g.Expect(told.Items).To(ContainElement(SatisfyAll(HaveField("Reason", v1alpha1.ReasonInvalidObject), HaveField("Regarding.Name", "bad"), HaveField("Note", HavePrefix("spec.expirationTime cannot be decoded")))))
		}).Should(Succeed())
		Expect(string(logs.Bytes())).To(MatchRegexp(`object refused.*"bad"`))
		Expect(gauge(metrics, "apikey_manager_refused_objects", "APIKey")).To(BeNumerically("==", 2))

		By("minting, suspending and deleting beside it")
		beside(ctx, server, t, before, plaintext)
		By("doing so with a manager that has just started")
		stopManager()
		startManager(ctx, account(ctx, managerAccount), observed)
		again := t.mint(ctx, "again")
		beside(ctx, server, t, again, plaintextOf(ctx, again))

		By("deleting it")
		for _, key := range []*v1alpha1.APIKey{bad, stray} {
			Expect(admin.Delete(ctx, key)).To(Succeed())
			awaitGone(ctx, key)
		}
		Eventually(func() float64 { return gauge(metrics, "apikey_manager_refused_objects", "APIKey") }).Should(BeZero())
	})

	It("ends a key whose APIKey becomes such, and gives it back when that is mended", func(ctx SpecContext) {
		t := newTenant(ctx)
		key := t.mint(ctx, "spoiled")
		plaintext := plaintextOf(ctx, key)
		withLaxSchema(ctx, func() {
			Expect(admin.Patch(ctx, key.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"expirationTime":"`+notATime+`"}}`)))).To(Succeed())
		})
		awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonRevoked)
		Expect(server.status(plaintext)).To(Equal(http.StatusUnauthorized))
		Expect(key.Status.Versions).To(HaveLen(1))

		Expect(admin.Patch(ctx, key.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"expirationTime":null}}`)))).To(Succeed())
		awaitReady(ctx, key)
		Expect(server.status(plaintext)).To(Equal(http.StatusOK))
	})

	It("is deleted with its key and its Secret, and with its namespace", func(ctx SpecContext) {
		t := newTenant(ctx)
		key, other := t.mint(ctx, "spoiled"), t.mint(ctx, "other")
		plaintext := plaintextOf(ctx, key)
		withLaxSchema(ctx, func() {
			for _, k := range []*v1alpha1.APIKey{key, other} {
				Expect(admin.Patch(ctx, k.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"expirationTime":"`+notATime+`"}}`)))).To(Succeed())
			}
		})
		secret := secretOf(ctx, key)
		Expect(admin.Delete(ctx, key)).To(Succeed())
		awaitGone(ctx, key)
		Expect(server.status(plaintext)).To(Equal(http.StatusUnauthorized))
		Expect(apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(secret), secret))).To(BeTrue())

		Expect(admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: t.namespace}})).To(Succeed())
		awaitGone(ctx, other)
	})

	It("ends a key whose APIKey grows beyond what leaves room in etcd, and gives it back when it shrinks", func(ctx SpecContext) {
		t := newTenant(ctx)
		key := t.mint(ctx, "grows")
		plaintext := plaintextOf(ctx, key)
		// A byte that JSON writes as six.
		change(ctx, key, func(k *v1alpha1.APIKey) {
			k.Annotations = map[string]string{"note": strings.Repeat("\x01", 100<<10)}
		})
		condition := awaitReason(ctx, key, v1alpha1.ConditionPermitted, v1alpha1.ReasonInvalidObject)
		Expect(condition.Message).To(MatchRegexp(`^The object has 61\d{4} bytes of JSON, and more than 524288 are refused`))
		awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonRevoked)
		Expect(server.status(plaintext)).To(Equal(http.StatusUnauthorized))
		Expect(admin.Patch(ctx, key.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"note":null}}}`)))).To(Succeed())
		awaitReady(ctx, key)
		Expect(server.status(plaintext)).To(Equal(http.StatusOK))
	})

	It("writes a large Secret of an APIKey that was not permitted at first, of which the cache keeps little", func(ctx SpecContext) {
		t := newTenant(ctx)
		relabel(ctx, t, "other")
		key := t.key("large", func(k *v1alpha1.APIKey) {
			k.Labels = map[string]string{"kept": "1"}
			k.Spec.Secret.Data = map[string]v1alpha1.DataTemplate{"a": v1alpha1.DataTemplate(strings.Repeat("a", 15<<10)), "b": v1alpha1.DataTemplate(strings.Repeat("b", 15<<10))}
		})
		Expect(admin.Create(ctx, key)).To(Succeed())
		awaitReason(ctx, key, v1alpha1.ConditionPermitted, v1alpha1.ReasonNamespaceNotPermitted)
		broken := t.key("broken", func(k *v1alpha1.APIKey) {
			k.Spec.Secret.Data = map[string]v1alpha1.DataTemplate{"a": v1alpha1.DataTemplate(strings.Repeat("a", 15<<10) + "$(TYPO)")}
		})
		Expect(admin.Create(ctx, broken)).To(Succeed())
		awaitReason(ctx, broken, v1alpha1.ConditionPermitted, v1alpha1.ReasonNamespaceNotPermitted)
		relabel(ctx, t, t.namespace)
		awaitReason(ctx, broken, v1alpha1.ConditionPublished, v1alpha1.ReasonInvalidTemplate)
		Expect(broken.Status.Versions).To(BeEmpty(), "minted before the templates were read")
		awaitReady(ctx, key)
		Expect(secretOf(ctx, key).Data).To(SatisfyAll(HaveKeyWithValue("a", HaveLen(15<<10)), HaveKeyWithValue("b", HaveLen(15<<10))))
		Expect(key.Spec.Secret.Data).To(HaveLen(2), "nothing of the spec is written")
		Expect(key.Labels).To(HaveKey("kept"))
	})

	It("stops the keys of an Organization that is such, and no others", func(ctx SpecContext) {
		t, others := newTenant(ctx), newTenant(ctx)
		key, other := t.mint(ctx, "key"), others.mint(ctx, "key")
		plaintext := plaintextOf(ctx, key)
		change(ctx, t.organization, func(o *v1alpha1.Organization) {
			o.Annotations = map[string]string{"note": strings.Repeat("\x01", 100<<10)}
		})
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(t.organization), t.organization)).To(Succeed())
			ready := meta.FindStatusCondition(t.organization.Status.Conditions, v1alpha1.ConditionReady)
			g.Expect(ready.Reason).To(Equal(v1alpha1.ReasonInvalidObject))
			g.Expect(meta.IsStatusConditionTrue(t.organization.Status.Conditions, v1alpha1.ConditionStalled)).To(BeTrue())
		}).Should(Succeed())
		awaitReason(ctx, key, v1alpha1.ConditionPermitted, v1alpha1.ReasonInvalidOrganization)
		awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonRevoked)
		Expect(server.status(plaintext)).To(Equal(http.StatusUnauthorized))
		Expect(server.status(plaintextOf(ctx, other))).To(Equal(http.StatusOK))
		Expect(gauge(metrics, "apikey_manager_refused_objects", "Organization")).To(BeNumerically("==", 1))

		Expect(admin.Patch(ctx, t.organization.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"note":null}}}`)))).To(Succeed())
		awaitReady(ctx, key)
		Expect(server.status(plaintext)).To(Equal(http.StatusOK))
	})

	It("refuses the younger of two Organizations that have one id, until the older is gone", func(ctx SpecContext) {
		older := newTenant(ctx)
		younger := newTenant(ctx, func(o *v1alpha1.Organization) { o.Spec.ID = older.organization.Spec.ID })
		if younger.organization.OlderThan(older.organization) { // of the same second
			older, younger = younger, older
		}
		key, intruder := older.mint(ctx, "key"), younger.key("intruder")
		Expect(admin.Create(ctx, intruder)).To(Succeed())
		awaitReason(ctx, intruder, v1alpha1.ConditionPermitted, v1alpha1.ReasonInvalidOrganization)
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(younger.organization), younger.organization)).To(Succeed())
			ready := meta.FindStatusCondition(younger.organization.Status.Conditions, v1alpha1.ConditionReady)
			g.Expect(ready).To(HaveField("Reason", v1alpha1.ReasonDuplicateID))
			g.Expect(ready.Message).To(ContainSubstring(older.organization.Name))
		}).Should(Succeed())
		Expect(intruder.Status.Versions).To(BeEmpty())
		Expect(server.status(plaintextOf(ctx, key))).To(Equal(http.StatusOK))

		Expect(admin.Delete(ctx, older.organization)).To(Succeed())
		awaitReady(ctx, intruder)
		Expect(server.status(plaintextOf(ctx, intruder))).To(Equal(http.StatusOK))
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(younger.organization), younger.organization)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(younger.organization.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
		}).Should(Succeed())
	})
})

// beside has a key minted, and another suspended, resumed and deleted.
func beside(ctx context.Context, server *authServer, t *tenant, key *v1alpha1.APIKey, plaintext []byte) {
	GinkgoHelper()
	fresh := t.mint(ctx, key.Name+"-beside")
	Expect(server.status(plaintextOf(ctx, fresh))).To(Equal(http.StatusOK))
	change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Suspend = true })
	awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonRevoked)
	Expect(server.status(plaintext)).To(Equal(http.StatusUnauthorized))
	change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Suspend = false })
	awaitReady(ctx, key)
	Expect(server.status(plaintext)).To(Equal(http.StatusOK))
	Expect(admin.Delete(ctx, key)).To(Succeed())
	awaitGone(ctx, key)
	Expect(server.status(plaintext)).To(Equal(http.StatusUnauthorized))
}

// createUndecodable creates an APIKey as an earlier schema has accepted it.
func createUndecodable(ctx context.Context, namespace, name, organization string) *v1alpha1.APIKey {
	GinkgoHelper()
	object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"organizationRef": map[string]any{"name": organization}, "expirationTime": notATime,
	}}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("APIKey"))
	object.SetNamespace(namespace)
	object.SetName(name)
	withLaxSchema(ctx, func() { Expect(admin.Create(ctx, object)).To(Succeed()) })
	return &v1alpha1.APIKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

// withLaxSchema lets act store a spec.expirationTime that the schema refuses.
func withLaxSchema(ctx context.Context, act func()) {
	GinkgoHelper()
	definition := &unstructured.Unstructured{}
	definition.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	Expect(admin.Get(ctx, client.ObjectKey{Name: "apikeys." + v1alpha1.GroupVersion.Group}, definition)).To(Succeed())
	strict := definition.Object["spec"]
	definition = definition.DeepCopy()
	versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	path := []string{"schema", "openAPIV3Schema", "properties", "spec", "properties", "expirationTime"}
	for _, rule := range []string{"pattern", "x-kubernetes-validations"} {
		unstructured.RemoveNestedField(versions[0].(map[string]any), append(path, rule)...)
	}
	Expect(unstructured.SetNestedSlice(definition.Object, versions, "spec", "versions")).To(Succeed())
	Expect(admin.Update(ctx, definition)).To(Succeed())
	probe := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"organizationRef": map[string]any{"name": "acme"}, "expirationTime": notATime}}}
	probe.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("APIKey"))
	probe.SetNamespace("default")
	probe.SetName("probe")
	try := func() error { return admin.Create(ctx, probe.DeepCopy(), client.DryRunAll) }
	Eventually(try).Should(Succeed())
	act()
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(definition), definition)).To(Succeed())
	definition.Object["spec"] = strict
	Expect(admin.Update(ctx, definition)).To(Succeed())
	Eventually(try).Should(MatchError(apierrors.IsInvalid, "invalid"))
}

// gauge returns the value of the series of a metric that has this label.
func gauge(metrics prometheus.Gatherer, name, label string) float64 {
	GinkgoHelper()
	families, err := metrics.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name && (len(metric.GetLabel()) == 0 || metric.GetLabel()[0].GetValue() == label) {
				return metric.GetGauge().GetValue()
			}
		}
	}
	return -1
}
