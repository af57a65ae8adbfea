// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"context"
	"io"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

var _ = Describe("The stamp of who asked", Ordered, func() {
	const (
		by, uid  = v1alpha1.AnnotationRequestedBy, v1alpha1.AnnotationRequestedByUID
		mallory  = "mallory"
		notYours = "are not anybody's to change"
		noStamp  = "have to name who asks for this change"
	)

	// stamp is what the object bears, as it is stored.
	stamp := func(ctx context.Context, object *unstructured.Unstructured) string {
		GinkgoHelper()
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		return object.GetAnnotations()[by]
	}
	annotated := func(object *unstructured.Unstructured, annotations map[string]string) *unstructured.Unstructured {
		object = object.DeepCopy()
		object.SetAnnotations(annotations)
		return object
	}
	patched := func(ctx context.Context, c client.Client, object *unstructured.Unstructured, patch string) error {
		return c.Patch(ctx, object.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch)))
	}
	// created is an APIKey that the editor has asked for.
	created := func(ctx context.Context) *unstructured.Unstructured {
		GinkgoHelper()
		key := apiKey(acme)
		Expect(asEditor.Create(ctx, key)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			Expect(admin.Delete(ctx, key)).To(Succeed())
			Expect(client.IgnoreNotFound(patched(ctx, manager, key, `{"metadata":{"finalizers":null}}`))).To(Succeed())
		})
		return key
	}

	BeforeAll(func(ctx SpecContext) {
		// The API server learns of the policy by a watch: it is there when it stamps.
		Eventually(func(g Gomega, ctx context.Context) {
			probe := apiKey(acme)
			g.Expect(admin.Create(ctx, probe, client.DryRunAll)).To(Succeed())
			g.Expect(probe.GetAnnotations()).To(HaveKeyWithValue(by, "admin"))
		}).WithContext(ctx).Should(Succeed())
	})

	Describe("is set", func() {
		It("on creation, to the user who creates", func(ctx SpecContext) {
			Expect(stamp(ctx, created(ctx))).To(Equal(editor))
		})

		It("on creation by a ServiceAccount, with its UID", func(ctx SpecContext) {
			key := annotated(apiKey(acme), map[string]string{"team": "a"})
			deployer := newClient(accountConfig(ctx, deployerOf(ctx)))
			Expect(deployer.Create(ctx, key)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) error { return admin.Delete(ctx, key) })
			Expect(stamp(ctx, key)).To(Equal("system:serviceaccount:hexcovery-system:deployer"))
			Expect(key.GetAnnotations()).To(HaveKeyWithValue(uid, MatchRegexp(`^[0-9a-f-]{36}$`)))
			Expect(key.GetAnnotations()).To(HaveKeyWithValue("team", "a"))

			// The next user has no UID: that of the one before must not stay.
			Expect(patched(ctx, asEditor, key, `{"spec":{"suspend":true}}`)).To(Succeed())
			Expect(stamp(ctx, key)).To(Equal(editor))
			Expect(key.GetAnnotations()).NotTo(HaveKey(uid))
		})

		DescribeTable("on a change, to the user who changes", func(ctx SpecContext, patch string) {
			key := created(ctx)
			Expect(patched(ctx, admin, key, patch)).To(Succeed())
			Expect(stamp(ctx, key)).To(Equal("admin"))
		},
			Entry("that suspends", `{"spec":{"suspend":true}}`),
			Entry("that rotates", `{"spec":{"rotation":{"rotateAfter":"2026-03-04T05:06:07Z"}}}`),
			Entry("that revokes a key", `{"spec":{"revokedKeyIDs":["0123456789ab"]}}`),
			Entry("that pins a key", `{"spec":{"activeKeyID":"0123456789ab"}}`),
			Entry("that imports", `{"spec":{"importedKeys":[{"sha256":"`+strings.Repeat("ab", 32)+`"}]}}`),
			Entry("of the expiry", `{"spec":{"expirationTime":"2040-01-01T00:00:00Z"}}`),
			Entry("of the description", `{"spec":{"description":"x"}}`),
			Entry("that sets the finalizer", `{"metadata":{"finalizers":["auth.hexcovery.io/revoke"]}}`),
			Entry("that also forges the stamp", `{"metadata":{"annotations":{"`+by+`":"mallory"}},"spec":{"suspend":true}}`),
			Entry("that also removes the stamp", `{"metadata":{"annotations":{"`+by+`":null}},"spec":{"suspend":true}}`),
			Entry("that also removes all annotations", `{"metadata":{"annotations":null},"spec":{"suspend":true}}`),
		)

		It("on a change of owners, by which the garbage collector can be made to delete", func(ctx SpecContext) {
			key := created(ctx)
			// Only tried: otherwise the garbage collector deletes it at once.
			patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"gone","uid":"u"}]}}`))
			Expect(admin.Patch(ctx, key, patch, client.DryRunAll)).To(Succeed())
			Expect(key.GetAnnotations()).To(HaveKeyWithValue(by, "admin"))
		})

		It("when somebody takes the finalizer off, and not when the manager does", func(ctx SpecContext) {
			key := created(ctx)
			const put, off = `{"metadata":{"finalizers":["auth.hexcovery.io/revoke"]}}`, `{"metadata":{"finalizers":null}}`
			Expect(patched(ctx, manager, key, put)).To(Succeed())
			Expect(stamp(ctx, key)).To(Equal(editor))
			Expect(patched(ctx, manager, key, off)).To(Succeed())
			Expect(stamp(ctx, key)).To(Equal(editor))
			Expect(patched(ctx, manager, key, put)).To(Succeed())
			Expect(patched(ctx, admin, key, off)).To(Succeed())
			Expect(stamp(ctx, key)).To(Equal("admin"))
		})

		It("also when the manager's account changes a spec", func(ctx SpecContext) {
			key := created(ctx)
			Expect(patched(ctx, manager, key, `{"spec":{"suspend":true}}`)).To(Succeed())
			Expect(stamp(ctx, key)).To(Equal("system:serviceaccount:hexcovery-system:apikey-manager"))
		})

		It("on Organizations", func(ctx SpecContext) {
			object := create(ctx, organization("namespaces: {selector: {}}"))
			Expect(stamp(ctx, object)).To(Equal("admin"))
		})

		It("in a bounded length", func(ctx SpecContext) {
			key := created(ctx)
			config := cluster.Admin()
			config.Impersonate.UserName, config.Impersonate.Groups = strings.Repeat("ü", 1000), []string{"system:masters"}
			config.Impersonate.UID = strings.Repeat("u", 1000)
			Expect(patched(ctx, newClient(config), key, `{"spec":{"suspend":true}}`)).To(Succeed())
			Expect(stamp(ctx, key)).To(Equal(strings.Repeat("ü", 253)))
			Expect(key.GetAnnotations()[uid]).To(HaveLen(128))
		})
	})

	Describe("stays", func() {
		DescribeTable("as it is, when nothing is changed that counts",
			func(ctx SpecContext, change func(context.Context, *unstructured.Unstructured) error) {
				key := created(ctx)
				Expect(change(ctx, key)).To(Succeed())
				Expect(stamp(ctx, key)).To(Equal(editor))
			},
			Entry("a label", func(ctx context.Context, key *unstructured.Unstructured) error {
				return patched(ctx, admin, key, `{"metadata":{"labels":{"a":"b"}}}`)
			}),
			Entry("another annotation", func(ctx context.Context, key *unstructured.Unstructured) error {
				return patched(ctx, admin, key, `{"metadata":{"annotations":{"a":"b"}}}`)
			}),
			Entry("another finalizer", func(ctx context.Context, key *unstructured.Unstructured) error {
				return patched(ctx, admin, key, `{"metadata":{"finalizers":["example.com/other"]}}`)
			}),
			Entry("the stamp, forged", func(ctx context.Context, key *unstructured.Unstructured) error {
				return patched(ctx, admin, key, `{"metadata":{"annotations":{"`+by+`":"mallory","`+uid+`":"u"}}}`)
			}),
			Entry("the stamp, removed", func(ctx context.Context, key *unstructured.Unstructured) error {
				return patched(ctx, admin, key, `{"metadata":{"annotations":{"`+by+`":null}}}`)
			}),
			Entry("the stamp, emptied", func(ctx context.Context, key *unstructured.Unstructured) error {
				return patched(ctx, admin, key, `{"metadata":{"annotations":{"`+by+`":""}}}`)
			}),
			Entry("all annotations, removed", func(ctx context.Context, key *unstructured.Unstructured) error {
				return patched(ctx, admin, key, `{"metadata":{"annotations":null}}`)
			}),
			Entry("a manifest that replaces it whole", func(ctx context.Context, key *unstructured.Unstructured) error {
				return admin.Update(ctx, annotated(key, map[string]string{by: mallory}))
			}),
			Entry("the stamp, forged by the manager's account", func(ctx context.Context, key *unstructured.Unstructured) error {
				return patched(ctx, manager, key, `{"metadata":{"annotations":{"`+by+`":"mallory"}}}`)
			}),
			Entry("the stamp, forged by way of the status", func(ctx context.Context, key *unstructured.Unstructured) error {
				return manager.Status().Patch(ctx, key.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+by+`":"mallory"}},"status":{"keyID":"0123456789ab"}}`)))
			}),
			Entry("the stamp, forged by server-side apply", func(ctx context.Context, key *unstructured.Unstructured) error {
				forged := annotated(manifest("APIKey", acme), map[string]string{by: mallory})
				forged.SetNamespace(key.GetNamespace())
				forged.SetName(key.GetName())
				return admin.Apply(ctx, client.ApplyConfigurationFromUnstructured(forged), client.FieldOwner("test"), client.ForceOwnership)
			}),
		)

		It("the creator's own, if the manifest has one already", func(ctx SpecContext) {
			key := annotated(apiKey(acme), map[string]string{by: mallory, uid: "u"})
			Expect(asEditor.Create(ctx, key)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) error { return admin.Delete(ctx, key) })
			Expect(stamp(ctx, key)).To(Equal(editor))
			Expect(key.GetAnnotations()).NotTo(HaveKey(uid))
		})

		It("nobody's drift: the same manifest, applied again by others, writes nothing", func(ctx SpecContext) {
			key := created(ctx)
			same := manifest("APIKey", acme)
			same.SetNamespace(key.GetNamespace())
			same.SetName(key.GetName())
			apply := func(owner string) {
				GinkgoHelper()
				Expect(admin.Apply(ctx, client.ApplyConfigurationFromUnstructured(same.DeepCopy()), client.FieldOwner(owner), client.ForceOwnership)).To(Succeed())
			}
			apply("gitops") // the first time it takes part in the fields
			Expect(stamp(ctx, key)).To(Equal(editor))
			before := key.GetResourceVersion()
			apply("gitops")
			Expect(stamp(ctx, key)).To(Equal(editor))
			Expect(key.GetResourceVersion()).To(Equal(before))
			for _, entry := range key.GetManagedFields() {
				raw, err := io.ReadAll(entry.FieldsV1.GetRawReader())
				Expect(err).NotTo(HaveOccurred())
				Expect(string(raw)).NotTo(ContainSubstring("requested-by"), entry.Manager)
			}
		})
	})

	Describe("where nothing stamps", Ordered, func() {
		BeforeAll(func(ctx SpecContext) {
			binding := &admissionregistrationv1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "apikey-requested-by"}}
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(binding), binding)).To(Succeed())
			Expect(admin.Delete(ctx, binding)).To(Succeed())
			stamped := func(ctx context.Context) string {
				probe := apiKey(acme)
				Expect(admin.Create(ctx, probe, client.DryRunAll)).To(Succeed())
				return probe.GetAnnotations()[by]
			}
			DeferCleanup(func(ctx SpecContext) {
				again := &admissionregistrationv1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: binding.Name}, Spec: binding.Spec}
				Expect(admin.Create(ctx, again)).To(Succeed())
				Eventually(stamped).WithContext(ctx).Should(Equal("admin"))
			})
			Eventually(stamped).WithContext(ctx).Should(BeEmpty())
		})

		It("cannot be forged on creation", func(ctx SpecContext) {
			for _, annotations := range []map[string]string{{by: mallory}, {uid: "u"}, {by: editor, uid: "u"}} {
				Expect(asEditor.Create(ctx, annotated(apiKey(acme), annotations), client.DryRunAll)).To(beForbidden(noStamp))
			}
		})

		It("may be missing, where it always was", func(ctx SpecContext) {
			key := created(ctx)
			Expect(stamp(ctx, key)).To(BeEmpty())
			Expect(patched(ctx, asEditor, key, `{"spec":{"suspend":true}}`)).To(Succeed())
			Expect(patched(ctx, asEditor, key, `{"metadata":{"annotations":{"`+by+`":"mallory"}}}`)).To(beForbidden(notYours))
			Expect(patched(ctx, asEditor, key, `{"metadata":{"annotations":{"`+uid+`":"u"}}}`)).To(beForbidden(notYours))
		})

		It("cannot be forged, kept for another or removed on a change", func(ctx SpecContext) {
			key := annotated(apiKey(acme), map[string]string{by: editor})
			Expect(asEditor.Create(ctx, key)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) error { return admin.Delete(ctx, key) })
			for _, forged := range []string{`"mallory"`, `""`, `null`} {
				Expect(patched(ctx, admin, key, `{"metadata":{"annotations":{"`+by+`":`+forged+`}}}`)).To(beForbidden(notYours), forged)
				Expect(patched(ctx, admin, key, `{"metadata":{"annotations":{"`+by+`":`+forged+`}},"spec":{"suspend":true}}`)).To(beForbidden(noStamp), forged)
			}
			Expect(patched(ctx, admin, key, `{"spec":{"suspend":true}}`)).To(beForbidden(noStamp))
			Expect(patched(ctx, admin, key, `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"gone","uid":"u"}]}}`)).To(beForbidden(noStamp))
			Expect(patched(ctx, admin, key, `{"metadata":{"finalizers":["auth.hexcovery.io/revoke"]}}`)).To(beForbidden(noStamp))
			Expect(patched(ctx, manager, key, `{"metadata":{"annotations":{"`+by+`":"mallory"}}}`)).To(beForbidden(notYours))
			Expect(patched(ctx, asEditor, key, `{"spec":{"suspend":true}}`)).To(Succeed())
			Expect(patched(ctx, manager, key, `{"metadata":{"finalizers":["auth.hexcovery.io/revoke"]}}`)).To(Succeed())
			Expect(patched(ctx, manager, key, `{"metadata":{"finalizers":null}}`)).To(Succeed())
		})
	})
})

// deployerOf makes a ServiceAccount that may create APIKeys, as a pipeline's may.
func deployerOf(ctx context.Context) string {
	GinkgoHelper()
	out, err := cluster.Kubectl(ctx, "create", "serviceaccount", "deployer", "-n", systemNamespace).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	out, err = cluster.Kubectl(ctx, "create", "rolebinding", "deployer", "-n", teamNamespace, "--clusterrole=edit",
		"--serviceaccount="+systemNamespace+":deployer").CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	return "deployer"
}
