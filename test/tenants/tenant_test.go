// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package tenants

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hexcovery/apikey-operator/hack/stack"
)

const (
	teamLabel = "team"
	// account is who acts in the namespace of each tenant.
	account = "mallory"
)

var groupVersion = schema.GroupVersion{Group: "auth.hexcovery.io", Version: "v1alpha1"}

// tenant is a namespace, whoever edits it, and the Organization that permits it, if one does.
type tenant struct {
	namespace, organization string
	// as may do what edit and apikey-editor give in the namespace, and no more.
	as client.Client
}

// newTenant makes a tenant that no Organization permits.
func newTenant(ctx context.Context) *tenant {
	GinkgoHelper()
	name := account + "-" + rand.String(6)
	t := &tenant{namespace: name, organization: name}
	Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{teamLabel: name}}})).To(Succeed())
	t.settle(ctx)
	DeferCleanup(func(ctx SpecContext) { t.purge(ctx) })
	return t
}

// newPermitted makes a tenant with an Organization of its own.
func newPermitted(ctx context.Context, spec ...string) *tenant {
	GinkgoHelper()
	t := newTenant(ctx)
	t.organize(ctx, spec...)
	return t
}

// organize makes the Organization that permits the namespace by its label.
func (t *tenant) organize(ctx context.Context, spec ...string) {
	GinkgoHelper()
	organization := object("Organization", fmt.Sprintf("namespaces: {selector: {matchLabels: {%s: %s}}}", teamLabel, t.namespace))
	for _, more := range spec {
		for name, value := range fields(more) {
			Expect(unstructured.SetNestedField(organization.Object, value, "spec", name)).To(Succeed())
		}
	}
	organization.SetName(t.organization)
	Expect(admin.Create(ctx, organization)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { _ = admin.Delete(ctx, organization) })
}

// settle lets a ServiceAccount edit the namespace, and acts as that from then on.
func (t *tenant) settle(ctx context.Context) {
	GinkgoHelper()
	Eventually(func() error {
		return client.IgnoreAlreadyExists(admin.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: account}}))
	}).Should(Succeed())
	for _, role := range []string{"edit", "apikey-editor"} {
		t.bind(ctx, t.namespace, role)
	}
	config, err := plane.ServiceAccount(ctx, t.namespace, account)
	Expect(err).NotTo(HaveOccurred())
	t.as = clientOf(config)
	// The API server learns of the rights by a watch.
	Eventually(func() error {
		return t.as.Create(ctx, t.key("probe", ""), client.DryRunAll)
	}).Should(Succeed())
}

// bind gives the tenant a ClusterRole in a namespace.
func (t *tenant) bind(ctx context.Context, namespace, role string) {
	GinkgoHelper()
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: t.namespace + "-" + role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: t.namespace, Name: account}},
	})).To(Succeed())
}

// bindManager gives the manager a ClusterRole in the namespace.
func (t *tenant) bindManager(ctx context.Context, role string) {
	GinkgoHelper()
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: "manager-" + role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: stack.Namespace, Name: stack.ManagerAccount}},
	})).To(Succeed())
}

// purge takes every APIKey of the namespace away, whatever holds it. What it cannot take
// away is the finding of a spec, and was said there.
func (t *tenant) purge(ctx context.Context) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(groupVersion.WithKind("APIKeyList"))
	if admin.List(ctx, list, client.InNamespace(t.namespace)) != nil {
		return
	}
	for i := range list.Items {
		key := &list.Items[i]
		_ = admin.Delete(ctx, key.DeepCopy())
		_ = admin.Patch(ctx, key, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null,"labels":null}}`)))
	}
}

// key returns an APIKey of the tenant that is not created yet; spec is YAML, and may be empty.
func (t *tenant) key(name, spec string) *unstructured.Unstructured {
	GinkgoHelper()
	key := object("APIKey", spec)
	if _, given, _ := unstructured.NestedFieldNoCopy(key.Object, "spec", "organizationRef"); !given {
		Expect(unstructured.SetNestedField(key.Object, t.organization, "spec", "organizationRef", "name")).To(Succeed())
	}
	key.SetNamespace(t.namespace)
	key.SetName(name)
	return key
}

// mint creates an APIKey as the tenant, waits until its key works, and returns it with its key.
func (t *tenant) mint(ctx context.Context, name, spec string) (*unstructured.Unstructured, string) {
	GinkgoHelper()
	key := t.key(name, spec)
	Expect(t.as.Create(ctx, key)).To(Succeed())
	awaitServing(ctx, key)
	return key, plaintextOf(ctx, key)
}

func object(kind, spec string) *unstructured.Unstructured {
	GinkgoHelper()
	o := &unstructured.Unstructured{Object: map[string]any{"spec": fields(spec)}}
	o.SetGroupVersionKind(groupVersion.WithKind(kind))
	return o
}

// fields reads a YAML object.
func fields(text string) map[string]any {
	GinkgoHelper()
	o := map[string]any{}
	Expect(yaml.UnmarshalStrict([]byte(text), &o)).To(Succeed(), "%s", text)
	return o
}

// patch merges JSON into an object.
func patch(ctx context.Context, as client.Client, o *unstructured.Unstructured, text string) error {
	return as.Patch(ctx, o.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(text)))
}

func refresh(ctx context.Context, o *unstructured.Unstructured) error {
	return admin.Get(ctx, client.ObjectKeyFromObject(o), o)
}

// condition returns a condition of the object as it was read last, as its reason and message.
func condition(o *unstructured.Unstructured, conditionType string) (status, reason, message string) {
	all, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, one := range all {
		if c, ok := one.(map[string]any); ok && c["type"] == conditionType {
			return fmt.Sprint(c["status"]), fmt.Sprint(c["reason"]), fmt.Sprint(c["message"])
		}
	}
	return "", "", ""
}

func awaitServing(ctx context.Context, key *unstructured.Unstructured) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(refresh(ctx, key)).To(Succeed())
		status, reason, message := condition(key, "Serving")
		g.Expect(status).To(Equal("True"), "%s/%s does not work: %s: %s", key.GetNamespace(), key.GetName(), reason, message)
	}).Should(Succeed())
}

// awaitReason waits until a condition has a reason.
func awaitReason(ctx context.Context, key *unstructured.Unstructured, conditionType, reason string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(refresh(ctx, key)).To(Succeed())
		status, found, message := condition(key, conditionType)
		g.Expect(found).To(Equal(reason), "%s is %s: %s", conditionType, status, message)
	}).Should(Succeed())
}

// awaitGone waits until an object is gone for good.
func awaitGone(ctx context.Context, o client.Object) {
	GinkgoHelper()
	Eventually(func() bool {
		return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(o), o))
	}).Should(BeTrue(), "%s is still there", o.GetName())
}

// plaintextOf returns the key of an APIKey, from its Secret.
func plaintextOf(ctx context.Context, key *unstructured.Unstructured) string {
	GinkgoHelper()
	secret := &corev1.Secret{}
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), secret)).To(Succeed())
	Expect(secret.Data).To(HaveKey("api-key"))
	return string(secret.Data["api-key"])
}

// hashOf is the SHA-256 of the key that the Secret of an APIKey holds, from its status.
func hashOf(key *unstructured.Unstructured) string {
	GinkgoHelper()
	id, _, _ := unstructured.NestedString(key.Object, "status", "keyID")
	versions, _, _ := unstructured.NestedSlice(key.Object, "status", "versions")
	for _, one := range versions {
		if v, ok := one.(map[string]any); ok && v["id"] == id {
			return fmt.Sprint(v["sha256"])
		}
	}
	Fail("the status names no current key")
	return ""
}

func nameOf(o client.Object) client.ObjectKey { return client.ObjectKeyFromObject(o) }

// registrationTime is when a hash was registered, as the status of its APIKey says; empty if it
// does not have it.
func registrationTime(key *unstructured.Unstructured, sha256 string) string {
	versions, _, _ := unstructured.NestedSlice(key.Object, "status", "versions")
	for _, one := range versions {
		if v, ok := one.(map[string]any); ok && v["sha256"] == sha256 && v["state"] != "Revoked" {
			return fmt.Sprint(v["registrationTime"])
		}
	}
	return ""
}
