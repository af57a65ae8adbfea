// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package tenants

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/hack/stack"
)

var _ = Describe("The name of an Organization", func() {
	DescribeTable("that can be none is refused, or said to be none", func(ctx SpecContext, name string) {
		mallory := newTenant(ctx)
		key := mallory.key("key", fmt.Sprintf("organizationRef: {name: %q}", name))
		if err := mallory.as.Create(ctx, key); err != nil {
			Expect(err).To(MatchError(apierrors.IsInvalid, "refused by the schema"))
			return
		}
		awaitReason(ctx, key, "Permitted", "OrganizationNotFound")
	},
		Entry("the folder above", ".."),
		Entry("a path", "a/b"),
		Entry("a path that leads elsewhere", "../namespaces/default"),
		Entry("a blank", " "),
	)
})

var _ = Describe("An APIKey that the Organization blocks", func() {
	It("is refused whatever its tenant does, and by no more than that", func(ctx SpecContext) {
		mallory := newPermitted(ctx)
		key, plaintext := mallory.mint(ctx, "blocked", "")
		_, other := mallory.mint(ctx, "other", "")
		block := func(list string) {
			GinkgoHelper()
			Expect(patchOrganization(ctx, mallory.organization, `{"spec":{"blocked":`+list+`}}`)).To(Succeed())
		}
		block(fmt.Sprintf(`[{"namespace":%q,"name":"blocked"}]`, mallory.namespace))
		refusedSoon(ctx, plaintext)
		awaitReason(ctx, key, "Permitted", "Blocked")

		By("trying what a tenant can try")
		for _, change := range []string{`{"spec":{"suspend":true}}`, `{"spec":{"suspend":false}}`, `{"spec":{"rotation":{"rotateAfter":"2026-03-04T05:06:07Z"}}}`} {
			Expect(patch(ctx, mallory.as, key, change)).To(Succeed())
		}
		neverAccepted(ctx, plaintext, time.Second)
		Expect(mallory.as.Delete(ctx, key.DeepCopy())).To(Succeed())
		awaitGone(ctx, key)
		anew := mallory.key("blocked", "")
		Expect(mallory.as.Create(ctx, anew)).To(Succeed())
		awaitReason(ctx, anew, "Permitted", "Blocked")
		Expect(admin.Get(ctx, nameOf(anew), &corev1.Secret{})).To(MatchError(apierrors.IsNotFound, "no key is minted"))
		awaitAccepted(ctx, other)

		block("null")
		awaitServing(ctx, anew)
	})
})

var _ = Describe("An auth server that was taken over", func() {
	It("writes neither the Lease of another one nor that of the managers' leader", func(ctx SpecContext) {
		config, uid, err := plane.Pod(ctx, stack.Namespace, stack.AuthServerAccount, "taken-over")
		Expect(err).NotTo(HaveOccurred())
		takenOver := clientOf(config)
		lease := func(name string) *coordinationv1.Lease {
			return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
				Namespace: stack.Namespace, Name: name, Labels: map[string]string{"auth.hexcovery.io/component": "authserver"},
			}}
		}
		for _, name := range []string{"apikey-manager", "authserver-" + product.AuthServers[0].PodUID()} {
			victim := lease(name)
			Expect(admin.Get(ctx, nameOf(victim), victim)).To(Succeed())
			victim.Spec.HolderIdentity = ptr.To("mallory")
			Expect(takenOver.Update(ctx, victim)).To(MatchError(apierrors.IsForbidden, "forbidden"), name)
			Expect(takenOver.Delete(ctx, victim)).To(MatchError(apierrors.IsForbidden, "forbidden"), name)
		}
		Expect(takenOver.Create(ctx, lease("authserver-of-nobody"))).To(MatchError(apierrors.IsForbidden, "forbidden"))
		own := lease("authserver-" + string(uid))
		Expect(takenOver.Create(ctx, own)).To(Succeed(), "its own is all it has")
		Expect(takenOver.Delete(ctx, own)).To(Succeed())
		bystanders.live(ctx)
	})

	It("reads no Secret, and writes no APIKey", func(ctx SpecContext) {
		config, _, err := plane.Pod(ctx, stack.Namespace, stack.AuthServerAccount, "taken-over")
		Expect(err).NotTo(HaveOccurred())
		takenOver := clientOf(config)
		Expect(takenOver.List(ctx, &corev1.SecretList{})).To(MatchError(apierrors.IsForbidden, "forbidden"))
		key := bystanders.key("in-use", "")
		Expect(takenOver.Delete(ctx, key.DeepCopy())).To(MatchError(apierrors.IsForbidden, "forbidden"))
		Expect(patch(ctx, takenOver, key, `{"spec":{"suspend":true}}`)).To(MatchError(apierrors.IsForbidden, "forbidden"))
	})
})

var _ = Describe("What a tenant chooses", func() {
	It("is in no metric", func(ctx SpecContext) {
		mallory := newPermitted(ctx)
		_, plaintext := mallory.mint(ctx, "chosen-by-"+account, "description: "+account)
		awaitAccepted(ctx, plaintext)
		nobodys := newTenant(ctx).key("chosen-by-"+account, "")
		Expect(admin.Create(ctx, nobodys)).To(Succeed())
		awaitReason(ctx, nobodys, "Permitted", "OrganizationNotFound")
		urls := []string{product.Manager.Metrics}
		for _, server := range product.AuthServers {
			urls = append(urls, server.Operations)
		}
		for _, url := range urls {
			for line := range strings.Lines(page(ctx, url)) {
				Expect(line).NotTo(ContainSubstring(account))
			}
		}
	})

	It("reaches no log, audit trail, event or condition as anything but plain text", func(ctx SpecContext) {
		const evil = "\x1b[2J\x1b]0;owned\x07\u202eevil\u2066\u200b<script>\r\nforged: line"
		mallory := newPermitted(ctx)
		var keys []*unstructured.Unstructured
		for field, spec := range map[string]string{
			"description":  fmt.Sprintf("description: %q", evil),
			"entry":        fmt.Sprintf("secret: {data: {x: %q}}", "$("+evil+")"),
			"annotation":   fmt.Sprintf("secret: {annotations: {x: %q}}", evil),
			"revoked":      fmt.Sprintf("revokedKeyIDs: [%q]", evil),
			"active":       fmt.Sprintf("activeKeyID: %q", evil),
			"rotation":     fmt.Sprintf("rotation: {rotateAfter: %q}", evil),
			"importedKeys": fmt.Sprintf("importedKeys: [{sha256: %064d, description: %q}]", 1, evil),
			"reference":    fmt.Sprintf("organizationRef: {name: %q}", evil),
			"zone":         fmt.Sprintf("rotation: {window: {schedule: '0 1 * * MON', duration: 1h, timeZone: %q}}", evil),
		} {
			key := mallory.key("evil-"+field, spec)
			if err := mallory.as.Create(ctx, key); err != nil {
				Expect(err).To(MatchError(apierrors.IsInvalid, "refused by the schema"), field)
				continue
			}
			// It says something of each, be it good or bad.
			Eventually(func(g Gomega) {
				g.Expect(refresh(ctx, key)).To(Succeed())
				status, _, _ := condition(key, "Ready")
				g.Expect(status).NotTo(BeEmpty(), field)
			}).Should(Succeed())
			keys = append(keys, key)
		}
		Expect(patchOrganization(ctx, mallory.organization, `{"spec":{"suspend":true}}`)).To(Succeed())
		for _, key := range keys {
			Expect(mallory.as.Delete(ctx, key.DeepCopy())).To(Succeed())
			conditions, _, _ := unstructured.NestedSlice(key.Object, "status", "conditions")
			expectPlain(fmt.Sprint(conditions), "conditions of "+key.GetName())
			expectPlain(strings.Join(notes(ctx, key), " "), "events of "+key.GetName())
			awaitGone(ctx, key)
		}
		for _, path := range []string{product.Manager.LogPath, product.Manager.OutputPath, product.AuthServers[0].LogPath} {
			expectPlain(strings.Join(strings.Split(logOf(path), "\n"), " "), path)
		}
	})
})

// expectPlain fails if a terminal or a page would take a part of the text for anything but text.
func expectPlain(text, where string) {
	GinkgoHelper()
	for at, r := range text {
		if unicode.Is(unicode.Cc, r) && r != '\t' || unicode.Is(unicode.Cf, r) || unicode.In(r, unicode.Zl, unicode.Zp) {
			Fail(fmt.Sprintf("%s: %q has the character %U", where, text[max(0, at-60):min(len(text), at+60)], r), 1)
		}
	}
}

var _ = Describe("Who may edit APIKeys and nothing else", func() {
	// restricted is somebody in the namespace of a tenant who may edit APIKeys only.
	restricted := func(ctx SpecContext, mallory *tenant) client.Client {
		GinkgoHelper()
		who := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: mallory.namespace, Name: "apikeys-only"}}
		Expect(admin.Create(ctx, who)).To(Succeed())
		Expect(admin.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: mallory.namespace, Name: who.Name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "apikey-editor"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: mallory.namespace, Name: who.Name}},
		})).To(Succeed())
		config, err := plane.ServiceAccount(ctx, mallory.namespace, who.Name)
		Expect(err).NotTo(HaveOccurred())
		as := clientOf(config)
		Eventually(func() error { return as.Create(ctx, mallory.key("probe", ""), client.DryRunAll) }).Should(Succeed())
		return as
	}

	It("restarts no workload through the manager", func(ctx SpecContext) {
		mallory := newPermitted(ctx)
		as := restricted(ctx, mallory)
		workload := deployment(mallory.namespace)
		Expect(admin.Create(ctx, workload)).To(Succeed())
		mallory.bindManager(ctx, "apikey-restarter")

		key := mallory.key("key", "rotation: {restart: {policy: Named, workloads: [{kind: Deployment, name: theirs}]}}")
		Expect(as.Create(ctx, key)).To(MatchError(ContainSubstring("may not patch")))
		key = mallory.key("key", "")
		Expect(as.Create(ctx, key)).To(Succeed())
		Expect(patch(ctx, as, key, `{"spec":{"rotation":{"restart":{"policy":"Detected"}}}}`)).To(MatchError(ContainSubstring("may not patch")))
		Expect(admin.Get(ctx, nameOf(workload), workload)).To(Succeed())
		Expect(workload.Spec.Template.Annotations).To(BeEmpty())
	})

	It("steers no other controller by a Secret that the manager writes", func(ctx SpecContext) {
		mallory := newPermitted(ctx)
		as := restricted(ctx, mallory)
		for _, secret := range []string{
			"{annotations: {replicator.v1.mittwald.de/replicate-to: kube-system}}", "{labels: {grafana_datasource: '1'}}", "{data: {datasource.yaml: x}}",
		} {
			Expect(as.Create(ctx, mallory.key("key", "secret: "+secret))).To(MatchError(ContainSubstring("may not create Secrets")))
		}
		key := mallory.key("key", "")
		Expect(as.Create(ctx, key)).To(Succeed())
		Expect(patch(ctx, as, key, `{"spec":{"secret":{"labels":{"a":"b"}}}}`)).To(MatchError(ContainSubstring("may not create Secrets")))
		awaitServing(ctx, key)
	})
})

func deployment(namespace string) *appsv1.Deployment {
	labels := map[string]string{"app": "theirs"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "theirs"},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](0),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "theirs", Image: "none"}}},
			},
		},
	}
}
