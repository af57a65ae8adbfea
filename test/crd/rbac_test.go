// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rights lists what somebody may do in a namespace, cluster-wide rights
// included, as "group/resource: verbs", less what every ServiceAccount may.
func rights(ctx context.Context, as client.Client, namespace string) []string {
	GinkgoHelper()
	anybody, err := cluster.ServiceAccount(ctx, "default", "default")
	Expect(err).NotTo(HaveOccurred())
	common := allRights(ctx, newClient(anybody), namespace)
	return slices.DeleteFunc(allRights(ctx, as, namespace), func(right string) bool { return slices.Contains(common, right) })
}

func allRights(ctx context.Context, as client.Client, namespace string) []string {
	GinkgoHelper()
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	Expect(as.Create(ctx, review)).To(Succeed())
	Expect(review.Status.Incomplete).To(BeFalse(), review.Status.EvaluationError)
	verbs := map[string][]string{}
	for _, rule := range review.Status.ResourceRules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				name := strings.TrimPrefix(group+"/"+resource, "/")
				if len(rule.ResourceNames) > 0 {
					name = fmt.Sprintf("%s %v", name, rule.ResourceNames)
				}
				verbs[name] = append(verbs[name], rule.Verbs...)
			}
		}
	}
	list := make([]string, 0, len(verbs))
	for name, verbs := range verbs {
		slices.Sort(verbs)
		list = append(list, name+": "+strings.Join(slices.Compact(verbs), " "))
	}
	return list
}

// urlRights lists what somebody may do with paths that are no resources, less what
// every ServiceAccount may.
func urlRights(ctx context.Context, as client.Client) []string {
	GinkgoHelper()
	anybody, err := cluster.ServiceAccount(ctx, "default", "default")
	Expect(err).NotTo(HaveOccurred())
	common := allURLRights(ctx, newClient(anybody))
	return slices.DeleteFunc(allURLRights(ctx, as), func(right string) bool { return slices.Contains(common, right) })
}

func allURLRights(ctx context.Context, as client.Client) (list []string) {
	GinkgoHelper()
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "default"}}
	Expect(as.Create(ctx, review)).To(Succeed())
	for _, rule := range review.Status.NonResourceRules {
		for _, url := range rule.NonResourceURLs {
			list = append(list, url+": "+strings.Join(rule.Verbs, " "))
		}
	}
	return list
}

// may reports whether somebody may do this.
func may(ctx context.Context, as client.Client, verb, resource, namespace string) bool {
	GinkgoHelper()
	group := "auth.hexcovery.io"
	if resource == "secrets" || resource == "namespaces" {
		group = corev1.GroupName
	}
	resource, subresource, _ := strings.Cut(resource, "/")
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: verb, Group: group, Resource: resource, Subresource: subresource, Namespace: namespace,
		},
	}}
	Expect(as.Create(ctx, review)).To(Succeed())
	return review.Status.Allowed
}

var _ = Describe("RBAC", func() {
	Context("of the auth server", func() {
		everywhere := []string{
			"auth.hexcovery.io/apikeys: get list watch",
			"auth.hexcovery.io/organizations: get list watch",
			"authentication.k8s.io/tokenreviews: create",
			"authorization.k8s.io/subjectaccessreviews: create",
			"namespaces: get list watch",
		}

		It("is to read hashes and namespaces and to have reviews made anywhere, and nothing more", func(ctx SpecContext) {
			Expect(rights(ctx, authserver, teamNamespace)).To(ConsistOf(everywhere))
		})

		It("is to keep its Lease in the operator's namespace", func(ctx SpecContext) {
			Expect(rights(ctx, authserver, systemNamespace)).To(ConsistOf(append(everywhere,
				"coordination.k8s.io/leases: create delete get update")))
		})

		It("does not extend to any Secret", func(ctx SpecContext) {
			for _, namespace := range []string{"", systemNamespace, teamNamespace, "default", "kube-system"} {
				Expect(authserver.List(ctx, &corev1.SecretList{}, client.InNamespace(namespace))).To(beForbidden("cannot list resource \"secrets\""))
			}
			Expect(authserver.Get(ctx, client.ObjectKey{Namespace: teamNamespace, Name: "prod-agent"}, &corev1.Secret{})).
				To(beForbidden("cannot get resource \"secrets\""))
		})

		It("does not extend to any write of an APIKey", func(ctx SpecContext) {
			key := create(ctx, apiKey(acme))
			Expect(tryStatus(ctx, authserver, key, validStatus)).To(beForbidden("cannot update resource \"apikeys/status\""))
			Expect(authserver.Update(ctx, key)).To(beForbidden("cannot update resource \"apikeys\""))
			Expect(authserver.Delete(ctx, key)).To(beForbidden("cannot delete resource \"apikeys\""))
		})
	})

	Context("of the manager", func() {
		everywhere := []string{
			"auth.hexcovery.io/apikeys: get list patch update watch",
			"auth.hexcovery.io/apikeys/finalizers: update",
			"auth.hexcovery.io/apikeys/status: patch update",
			"auth.hexcovery.io/organizations: get list watch",
			"auth.hexcovery.io/organizations/status: patch update",
			"namespaces: get list watch",
			"secrets: create delete get list update watch",
			"events.k8s.io/events: create patch",
		}

		It("is to bring APIKeys to Secrets anywhere, and nothing more", func(ctx SpecContext) {
			Expect(rights(ctx, manager, teamNamespace)).To(ConsistOf(everywhere))
		})

		It("is to read and collect Leases and to elect a leader in the operator's namespace", func(ctx SpecContext) {
			Expect(rights(ctx, manager, systemNamespace)).To(ConsistOf(append(everywhere,
				"coordination.k8s.io/leases: create delete get list watch",
				"coordination.k8s.io/leases [apikey-manager]: update",
				"serviceaccounts/token [apikey-usage-reader]: create",
				"events: create patch")))
		})

		It("does not extend to making or deleting APIKeys and Organizations", func(ctx SpecContext) {
			Expect(manager.Create(ctx, apiKey(acme))).To(beForbidden("cannot create resource \"apikeys\""))
			Expect(manager.Create(ctx, organization("{}"))).To(beForbidden("cannot create resource \"organizations\""))
			Expect(manager.Delete(ctx, create(ctx, apiKey(acme)))).To(beForbidden("cannot delete resource \"apikeys\""))
		})
	})

	Context("of the manager, to restart workloads", func() {
		restarts := []string{"apps/daemonsets: get list patch", "apps/deployments: get list patch", "apps/statefulsets: get list patch"}

		It("is nowhere by default", func(ctx SpecContext) {
			for _, namespace := range []string{teamNamespace, systemNamespace, "default"} {
				Expect(rights(ctx, manager, namespace)).NotTo(ContainElement(ContainSubstring("apps/")))
			}
		})

		It("is where the role is bound, and nowhere else", func(ctx SpecContext) {
			binding := &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "apikey-restarter"},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "apikey-restarter"},
				Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: systemNamespace, Name: managerAccount}},
			}
			Expect(admin.Create(ctx, binding)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, binding)).To(Succeed()) })
			Eventually(func(ctx context.Context) []string { return rights(ctx, manager, "default") }).WithContext(ctx).Should(ContainElements(restarts))
			Expect(rights(ctx, manager, teamNamespace)).NotTo(ContainElement(ContainSubstring("apps/")))
		})

		It("is everywhere with the component", func(ctx SpecContext) {
			kubectl := func(ctx context.Context, verb string) {
				GinkgoHelper()
				out, err := cluster.Kubectl(ctx, verb, "-k", "config/components/restart").CombinedOutput()
				Expect(err).NotTo(HaveOccurred(), "%s", out)
			}
			kubectl(ctx, "create")
			DeferCleanup(func(ctx SpecContext) { kubectl(ctx, "delete") })
			Eventually(func(ctx context.Context) []string { return rights(ctx, manager, teamNamespace) }).WithContext(ctx).Should(ContainElements(restarts))
		})
	})

	Context("of the reader of usage", func() {
		It("is to ask auth servers for it, and nothing more", func(ctx SpecContext) {
			config, err := cluster.ServiceAccount(ctx, systemNamespace, "apikey-usage-reader")
			Expect(err).NotTo(HaveOccurred())
			reader := newClient(config)
			for _, namespace := range []string{teamNamespace, systemNamespace} {
				Expect(rights(ctx, reader, namespace)).To(BeEmpty())
			}
			Expect(urlRights(ctx, reader)).To(ConsistOf("/usage: post"))
		})

		It("is nobody else's", func(ctx SpecContext) {
			for _, as := range []client.Client{manager, authserver, asEditor} {
				Expect(urlRights(ctx, as)).To(BeEmpty())
			}
		})
	})

	Context("of people", func() {
		BeforeEach(func(ctx SpecContext) {
			// The roles edit and view are put together by a controller.
			Eventually(func(ctx context.Context) bool {
				return may(ctx, asEditor, "create", "apikeys", teamNamespace) && may(ctx, asViewer, "get", "apikeys", teamNamespace)
			}).WithContext(ctx).Should(BeTrue())
		})

		DescribeTable("who edit a namespace", func(ctx SpecContext, verb, resource, namespace string, allowed bool) {
			Expect(may(ctx, asEditor, verb, resource, namespace)).To(Equal(allowed))
		},
			Entry("may have keys in it", "create", "apikeys", teamNamespace, true),
			Entry("may see them", "list", "apikeys", teamNamespace, true),
			Entry("may change them", "patch", "apikeys", teamNamespace, true),
			Entry("may revoke them", "delete", "apikeys", teamNamespace, true),
			Entry("may see their status", "get", "apikeys/status", teamNamespace, true),
			Entry("may not write their status", "update", "apikeys/status", teamNamespace, false),
			Entry("may not patch their status", "patch", "apikeys/status", teamNamespace, false),
			Entry("may have none elsewhere", "create", "apikeys", "default", false),
			Entry("may see none elsewhere", "list", "apikeys", "", false),
			Entry("may declare no Organization", "create", "organizations", "", false),
			Entry("may change no Organization", "patch", "organizations", "", false),
		)

		DescribeTable("who view a namespace", func(ctx SpecContext, verb, resource string, allowed bool) {
			Expect(may(ctx, asViewer, verb, resource, teamNamespace)).To(Equal(allowed))
		},
			Entry("may see its keys", "list", "apikeys", true),
			Entry("may see their status", "get", "apikeys/status", true),
			Entry("may make none", "create", "apikeys", false),
			Entry("may change none", "patch", "apikeys", false),
			Entry("may revoke none", "delete", "apikeys", false),
			Entry("may not see the Secrets", "get", "secrets", false),
		)

		It("does not let an editor write a status", func(ctx SpecContext) {
			key := create(ctx, apiKey(acme))
			Expect(tryStatus(ctx, asEditor, key, validStatus)).To(beForbidden("cannot update resource \"apikeys/status\""))
		})
	})
})
