// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// nadia may do with APIKeys what an editor may, and nothing else in teamNamespace.
const nadia = "nadia-of-the-keys"

var _ = Describe("Whoever may create APIKeys, and no more,", Ordered, func() {
	const (
		copied      = acme + "\nsecret: {annotations: {reflector.v1.k8s.emberstack.com/reflection-auto-enabled: 'true'}}"
		labelled    = acme + "\nsecret: {labels: {grafana_datasource: '1'}}"
		filled      = acme + "\nsecret: {data: {config.yaml: anything}}"
		everything  = acme + "\nrotation: {restart: {policy: Detected}}"
		named       = acme + "\nrotation: {restart: {policy: Named, workloads: [{kind: Deployment, name: web}]}}"
		namedOthers = acme + "\nrotation: {restart: {policy: Named, workloads: [{kind: StatefulSet, name: db}]}}"
		noSecrets   = "spec.secret.labels, annotations and data shape a Secret, and nadia-of-the-keys may not create Secrets in this namespace: leave them out"
		noRestarts  = "spec.rotation.restart restarts Deployments, and nadia-of-the-keys may not patch those of this namespace: leave it out"
	)
	var asNadia client.Client

	// grant gives nadia rights in the namespace, until the spec ends.
	grant := func(ctx context.Context, name string, rules ...rbacv1.PolicyRule) {
		GinkgoHelper()
		role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: teamNamespace, Name: name}, Rules: rules}
		Expect(admin.Create(ctx, role)).To(Succeed())
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: teamNamespace, Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: nadia}},
		}
		Expect(admin.Create(ctx, binding)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			Expect(admin.Delete(ctx, binding)).To(Succeed())
			Expect(admin.Delete(ctx, role)).To(Succeed())
		})
	}
	rule := func(group, resource string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
	}
	// patched changes an APIKey as nadia does.
	patched := func(ctx context.Context, key client.Object, patch string) error {
		return asNadia.Patch(ctx, key, client.RawPatch(types.MergePatchType, []byte(patch)))
	}

	BeforeAll(func(ctx SpecContext) {
		asNadia = newClient(impersonating(nadia))
		bind(ctx, nadia, "apikey-editor")
		// The API server learns of policies and of rights by watches.
		Eventually(func(ctx context.Context) error {
			return asNadia.Create(ctx, apiKey(copied), client.DryRunAll)
		}).WithContext(ctx).Should(beForbidden(noSecrets))
		Eventually(func(ctx context.Context) error {
			return asNadia.Create(ctx, apiKey(everything), client.DryRunAll)
		}).WithContext(ctx).Should(beForbidden(noRestarts))
	})

	DescribeTable("cannot steer others by a Secret that they could not create", func(ctx SpecContext, spec string) {
		Expect(asNadia.Create(ctx, apiKey(spec))).To(beForbidden(noSecrets))
		key := create(ctx, apiKey(acme))
		Expect(asNadia.Create(ctx, apiKey(acme), client.DryRunAll)).To(Succeed())
		changed := key.DeepCopy()
		changed.Object["spec"] = fields(spec)
		Expect(asNadia.Patch(ctx, changed, client.MergeFrom(key))).To(beForbidden(noSecrets))
	},
		Entry("with an annotation", copied),
		Entry("with a label", labelled),
		Entry("with data", filled),
	)

	It("change everything else of an APIKey whose Secret somebody else has shaped", func(ctx SpecContext) {
		key := create(ctx, apiKey(copied))
		Expect(patched(ctx, key, `{"spec":{"suspend":true,"rotation":{"rotateAfter":"2026-03-04T05:06:07Z"}}}`)).To(Succeed())
		Expect(patched(ctx, key, `{"metadata":{"labels":{"app":"web"}}}`)).To(Succeed())
		Expect(patched(ctx, key, `{"spec":{"secret":{"labels":{"a":"b"}}}}`)).To(beForbidden(noSecrets))
		Expect(patched(ctx, key, `{"spec":{"secret":null}}`)).To(Succeed())
	})

	It("shape Secrets as soon as they may create them", func(ctx SpecContext) {
		grant(ctx, "nadia-secrets", rule("", "secrets", "create"))
		Eventually(func(ctx context.Context) error {
			return asNadia.Create(ctx, apiKey(copied), client.DryRunAll)
		}).WithContext(ctx).Should(Succeed())
	})

	DescribeTable("cannot have workloads restarted", func(ctx SpecContext, spec, refusal string) {
		Expect(asNadia.Create(ctx, apiKey(spec))).To(beForbidden(refusal))
		key := create(ctx, apiKey(acme))
		changed := key.DeepCopy()
		changed.Object["spec"] = fields(spec)
		Expect(asNadia.Patch(ctx, changed, client.MergeFrom(key))).To(beForbidden(refusal))
	},
		Entry("all that take the Secret", everything, noRestarts),
		Entry("one by its name", named, noRestarts),
		Entry("one of another kind", namedOthers, "spec.rotation.restart restarts StatefulSets, and nadia-of-the-keys may not"),
	)

	It("have those restarted that they could restart themselves", func(ctx SpecContext) {
		grant(ctx, "nadia-deployments", rule("apps", "deployments", "patch"))
		Eventually(func(ctx context.Context) error {
			return asNadia.Create(ctx, apiKey(named), client.DryRunAll)
		}).WithContext(ctx).Should(Succeed())
		Expect(asNadia.Create(ctx, apiKey(everything))).To(beForbidden("spec.rotation.restart restarts StatefulSets"))
		Expect(asNadia.Create(ctx, apiKey(namedOthers))).To(beForbidden("spec.rotation.restart restarts StatefulSets"))
	})

	It("rotate a key whose workloads somebody else has had restarted", func(ctx SpecContext) {
		key := create(ctx, apiKey(everything))
		Expect(patched(ctx, key, `{"spec":{"rotation":{"rotateAfter":"2026-03-04T05:06:07Z"}}}`)).To(Succeed())
		Expect(patched(ctx, key, `{"spec":{"rotation":{"restart":{"policy":"None"}}}}`)).To(Succeed())
	})
})

var _ = Describe("The policies about rights", func() {
	It("ask the manager for none that it does not have", func(ctx SpecContext) {
		key := create(ctx, apiKey(acme+"\nsecret: {labels: {app: web}, data: {a: b}}\nrotation: {restart: {policy: Detected}}"))
		key.SetFinalizers(append(key.GetFinalizers(), "auth.hexcovery.io/revoke"))
		Expect(manager.Update(ctx, key)).To(Succeed())
		key.SetFinalizers(nil)
		Expect(manager.Update(ctx, key)).To(Succeed())
	})

	It("let an editor of the namespace do both", func(ctx SpecContext) {
		Expect(asEditor.Create(ctx, apiKey(acme+"\nsecret: {labels: {app: web}}\nrotation: {restart: {policy: Detected}}"), client.DryRunAll)).To(Succeed())
	})
})
