// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"net/http"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

var _ = Describe("An APIKey", func() {
	var replicas []*authServer

	BeforeEach(func(ctx SpecContext) {
		replicas = []*authServer{startAuthServer(ctx, "a"), startAuthServer(ctx, "b")}
		startManager(ctx, account(ctx, managerAccount))
	})

	It("becomes a Secret whose key every auth server accepts", func(ctx SpecContext) {
		t := newTenant(ctx)
		key := t.mint(ctx, "agent", func(k *v1alpha1.APIKey) {
			k.Spec.Secret.Labels = map[string]v1alpha1.LabelValue{"app": "agent"}
			k.Spec.Secret.Annotations = map[string]v1alpha1.AnnotationValue{"note": "text"}
		})
		secret := secretOf(ctx, key)
		plaintext := string(secret.Data["api-key"])
		Expect(secret.Type).To(Equal(corev1.SecretTypeOpaque))
		Expect(secret.Labels).To(Equal(map[string]string{"app": "agent", v1alpha1.LabelAPIKey: "agent"}))
		Expect(secret.Annotations).To(HaveKeyWithValue("note", "text"))
		Expect(secret.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationKeyID, key.Status.KeyID))
		Expect(metav1.IsControlledBy(secret, key)).To(BeTrue())
		Expect(secret.Data).To(HaveLen(3))
		Expect(string(secret.Data["HEXCOVERY_API_KEY"])).To(Equal(plaintext))
		Expect(string(secret.Data["OTEL_EXPORTER_OTLP_HEADERS"])).To(Equal("x-api-key=" + plaintext))

		Expect(key.Status.SecretRef.Name).To(Equal("agent"))
		Expect(key.Status.Versions).To(HaveLen(1))
		Expect(key.Status.Versions[0].State).To(Equal(v1alpha1.VersionActive))
		Expect(meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionReconciling)).To(BeNil())
		Expect(meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionStalled)).To(BeNil())
		for _, replica := range replicas {
			response := replica.ask([]byte(plaintext))
			Expect(response.StatusCode).To(Equal(http.StatusOK))
			Expect(response.Header.Get("X-Scope-OrgID")).To(Equal(t.organization.Spec.ID))
			Expect(response.Header.Get("X-API-Key-ID")).To(Equal(key.Status.KeyID))
			Expect(response.Header.Get("X-API-Key-Name")).To(Equal(t.namespace + "/agent"))
		}
		Eventually(eventReasons).WithArguments(ctx, key).Should(ConsistOf(v1alpha1.EventMinted))
	})

	It("costs four writes and an event, and then none", func(ctx SpecContext) {
		t := newTenant(ctx)
		key := t.mint(ctx, "thrifty")
		Eventually(eventReasons).WithArguments(ctx, key).Should(ConsistOf(v1alpha1.EventMinted))
		Expect(writesFor(key)).To(Equal([]string{
			"patch apikeys", "patch apikeys/status", "create secrets", "patch apikeys/status", "create events",
		}))
		Expect(ownWrites()).NotTo(BeEmpty(), "the count sees nothing at all")

		before := len(ownWrites())
		renewals := leaseWrites()
		Consistently(func() []string { return ownWrites()[before:] }, 8*time.Second, time.Second).Should(BeEmpty())
		Expect(leaseWrites()).To(BeNumerically(">", renewals), "the auth servers were not even renewing")
	})

	It("waits for an auth server, and says so", func(ctx SpecContext) {
		for _, replica := range replicas {
			replica.stop()
		}
		t := newTenant(ctx)
		key := t.key("early")
		Expect(admin.Create(ctx, key)).To(Succeed())
		condition := awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonNoAuthServer)
		Expect(condition.Status).To(Equal(metav1.ConditionFalse))
		Expect(condition.Message).To(ContainSubstring("Deploy the auth server"))
		Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReconciling)).To(BeTrue())
		Expect(client.IgnoreNotFound(admin.Get(ctx, client.ObjectKeyFromObject(key), &corev1.Secret{}))).To(Succeed())

		late := startAuthServer(ctx, "late")
		awaitReady(ctx, key)
		Expect(late.status(plaintextOf(ctx, key))).To(Equal(http.StatusOK))
	})

	It("leaves a Secret that got in the way while it waited, and says so", func(ctx SpecContext) {
		for _, replica := range replicas {
			replica.stop()
		}
		t := newTenant(ctx)
		key := t.key("overtaken")
		Expect(admin.Create(ctx, key)).To(Succeed())
		awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonNoAuthServer)
		obstacle := secretInTheWay(t, key.Name)
		Expect(admin.Create(ctx, obstacle)).To(Succeed())
		late := startAuthServer(ctx, "late")
		awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonSecretConflict)
		awaitVersions(ctx, key)
		Expect(secretOf(ctx, key)).To(Equal(obstacle))

		Expect(admin.Delete(ctx, obstacle)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
		}).WithTimeout(40 * time.Second).Should(Succeed())
		Expect(late.status(plaintextOf(ctx, key))).To(Equal(http.StatusOK))
	})

	It("is published after it is permitted again, when permission was withdrawn in between", func(ctx SpecContext) {
		for _, replica := range replicas {
			replica.stop()
		}
		t := newTenant(ctx)
		key := t.key("wavering")
		Expect(admin.Create(ctx, key)).To(Succeed())
		awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonNoAuthServer)
		relabel(ctx, t, "other")
		awaitReason(ctx, key, v1alpha1.ConditionPermitted, v1alpha1.ReasonNamespaceNotPermitted)
		relabel(ctx, t, t.namespace)
		awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonNoAuthServer)
		Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionPermitted)).To(BeTrue())
		late := startAuthServer(ctx, "late")
		awaitReady(ctx, key)
		Expect(late.status(plaintextOf(ctx, key))).To(Equal(http.StatusOK))
	})

	It("is seen to be permitted again before its key is published", func(ctx SpecContext) {
		for _, replica := range replicas {
			replica.stop()
		}
		silenced := &silencer{}
		startAuthServer(ctx, "heard")
		startAuthServer(ctx, "unheard", silenced.wrap)
		DeferCleanup(func() { silenced.silent.Store(false) })
		other := newTenant(ctx)
		other.mint(ctx, "before")
		silenced.silent.Store(true)
		// It waits for the one that is not heard, until that is under suspicion.
		t := newTenant(ctx)
		key := t.key("readmitted")
		Expect(admin.Create(ctx, key)).To(Succeed())
		awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonWaitingForAuthServers)
		relabel(ctx, t, "other")
		awaitReason(ctx, key, v1alpha1.ConditionPermitted, v1alpha1.ReasonNamespaceNotPermitted)
		// From here on the other one alone is asked, and it has refused the key.
		other.mint(ctx, "after")
		Expect(key.Status.Versions).To(HaveLen(1))
		earlier := len(writesFor(key))
		relabel(ctx, t, t.namespace)
		awaitReady(ctx, key)
		// On a busy machine a replica may be silent for a moment: then one more status says so.
		Eventually(func() []string {
			return slices.Compact(slices.DeleteFunc(writesFor(key)[earlier:], func(write string) bool { return write == "create events" }))
		}).Should(Equal([]string{"patch apikeys/status", "create secrets", "patch apikeys/status"}))
	})

	It("is refused everywhere when kubectl delete returns, and its Secret is gone", func(ctx SpecContext) {
		key := newTenant(ctx).mint(ctx, "short-lived")
		secret := secretOf(ctx, key)
		plaintext := secret.Data["api-key"]
		Expect(admin.Delete(ctx, key)).To(Succeed())
		awaitGone(ctx, key)
		for _, replica := range replicas {
			Expect(replica.status(plaintext)).To(Equal(http.StatusUnauthorized))
		}
		awaitGone(ctx, secret)
		Eventually(audited).WithArguments(key).Should(Equal([]string{"Minted", "Published", "Revoked"}))
	})

	It("goes with its namespace", func(ctx SpecContext) {
		t := newTenant(ctx)
		key := t.mint(ctx, "tenant")
		plaintext := plaintextOf(ctx, key)
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: t.namespace}}
		Expect(admin.Delete(ctx, namespace)).To(Succeed())
		awaitGone(ctx, namespace)
		for _, replica := range replicas {
			Expect(replica.status(plaintext)).To(Equal(http.StatusUnauthorized))
		}
	})
})

// eventReasons are those of the events that are there of an APIKey.
func eventReasons(ctx SpecContext, key *v1alpha1.APIKey) []string {
	GinkgoHelper()
	var reasons []string
	for _, event := range eventsOf(ctx, key) {
		reasons = append(reasons, event.Reason)
	}
	return reasons
}

// eventNotes are what the events about key say that have a reason.
func eventNotes(ctx SpecContext, key *v1alpha1.APIKey, reason string) []string {
	GinkgoHelper()
	var notes []string
	for _, event := range eventsOf(ctx, key) {
		if event.Reason == reason {
			notes = append(notes, event.Note)
		}
	}
	return notes
}

func eventsOf(ctx SpecContext, key *v1alpha1.APIKey) []eventsv1.Event {
	GinkgoHelper()
	list := &eventsv1.EventList{}
	Expect(admin.List(ctx, list, client.InNamespace(key.Namespace))).To(Succeed())
	return slices.DeleteFunc(list.Items, func(e eventsv1.Event) bool { return e.Regarding.UID != key.UID })
}

// ownWrites are the writes that manager and auth servers have made so far, but
// for those of Leases, in their order.
func ownWrites() []string {
	GinkgoHelper()
	return describe(requests(func(e auditv1.Event) bool { return e.ObjectRef.Resource != "leases" }))
}

func leaseWrites() int {
	GinkgoHelper()
	return len(requests(func(e auditv1.Event) bool { return e.ObjectRef.Resource == "leases" }))
}

// writesFor are the writes that the operator has made in an APIKey's namespace.
func writesFor(key *v1alpha1.APIKey) []string {
	GinkgoHelper()
	return describe(requests(func(e auditv1.Event) bool { return e.ObjectRef.Namespace == key.Namespace }))
}

func requests(matches func(auditv1.Event) bool) []auditv1.Event {
	GinkgoHelper()
	all, err := plane.AuditEvents()
	Expect(err).NotTo(HaveOccurred())
	var matching []auditv1.Event
	for _, e := range all {
		switch e.Verb {
		case "get", "list", "watch":
			continue
		}
		ours := e.User.Username == "system:serviceaccount:"+systemNamespace+":"+managerAccount ||
			e.User.Username == "system:serviceaccount:"+systemNamespace+":"+serverAccount
		// A client asks what kinds there are with requests that are for no resource.
		if ours && e.ObjectRef.Resource != "" && matches(e) {
			matching = append(matching, e)
		}
	}
	return matching
}

func describe(events []auditv1.Event) []string {
	described := []string{}
	for _, e := range events {
		text := e.Verb + " " + e.ObjectRef.Resource
		if e.ObjectRef.Subresource != "" {
			text += "/" + e.ObjectRef.Subresource
		}
		described = append(described, text)
	}
	return described
}
