// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// crowd creates many APIKeys of a tenant, and returns them when each has a condition.
func crowd(ctx context.Context, of *tenant, count int, condition string, change func(*v1alpha1.APIKey)) []*v1alpha1.APIKey {
	GinkgoHelper()
	keys := make([]*v1alpha1.APIKey, count)
	for i := range keys {
		keys[i] = of.key(fmt.Sprint("crowd-", i), change)
		Expect(admin.Create(ctx, keys[i])).To(Succeed())
	}
	for _, key := range keys {
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			g.Expect(key.Status.Conditions).To(ContainElement(HaveField("Type", condition)))
		}).Should(Succeed())
	}
	return keys
}

// unwritten expects that nobody has written the objects since they were last read.
func unwritten(ctx context.Context, keys []*v1alpha1.APIKey) {
	GinkgoHelper()
	for _, key := range keys {
		before := key.ResourceVersion
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
		Expect(key.ResourceVersion).To(Equal(before), "%s was written: %+v", key.Name, key.Status.Conditions)
	}
}

var _ = Describe("A crowd of APIKeys", func() {
	var server *authServer

	BeforeEach(func(ctx SpecContext) {
		server = startAuthServer(ctx, "one")
		startManager(ctx, account(ctx, managerAccount))
	})

	It("that names an Organization which does not permit it learns nothing of it, and costs it no writes", func(ctx SpecContext) {
		victim, stranger := newTenant(ctx), newTenant(ctx)
		key := victim.mint(ctx, "prod-agent")
		strangers := crowd(ctx, stranger, 60, v1alpha1.ConditionPermitted, func(k *v1alpha1.APIKey) {
			k.Spec.OrganizationRef.Name = victim.organization.Name
		})
		for _, stranger := range strangers {
			awaitReason(ctx, stranger, v1alpha1.ConditionPermitted, v1alpha1.ReasonNamespaceNotPermitted)
		}
		change(ctx, victim.organization, func(o *v1alpha1.Organization) { o.Spec.Suspend = true })
		awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonRevoked)
		change(ctx, victim.organization, func(o *v1alpha1.Organization) { o.Spec.Suspend = false })
		awaitReady(ctx, key)
		// The manager has looked at each of them by now, or is about to: a later change shows it.
		late := stranger.mint(ctx, "late")
		Expect(late.Status.KeyID).NotTo(BeEmpty())
		unwritten(ctx, strangers)
	})

	It("that lists a hash which somebody has is refused, and none of it gets the hash when it is free", func(ctx SpecContext) {
		victim, mallory := newTenant(ctx, permittingImports), newTenant(ctx, permittingImports)
		legacy := []byte("legacy-" + rand.String(32))
		key := victim.mint(ctx, "prod-agent", importing(legacy))
		awaitReason(ctx, key, v1alpha1.ConditionImported, v1alpha1.ReasonImported)
		contenders := crowd(ctx, mallory, 60, v1alpha1.ConditionImported, importing(legacy))
		for _, contender := range contenders {
			awaitReason(ctx, contender, v1alpha1.ConditionImported, v1alpha1.ReasonImportRefused)
		}
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.ImportedKeys = nil })
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		late := mallory.mint(ctx, "late")
		Expect(late.Status.KeyID).NotTo(BeEmpty())
		Expect(server.status(legacy)).To(Equal(http.StatusUnauthorized))
		unwritten(ctx, contenders)
	})

	It("that lists a hash which nobody has yet gives it to one of them at most", func(ctx SpecContext) {
		mallory := newTenant(ctx, permittingImports)
		contenders := crowd(ctx, mallory, 20, v1alpha1.ConditionImported, importing([]byte("legacy-"+rand.String(32))))
		Eventually(func(g Gomega) {
			imported := 0
			for _, contender := range contenders {
				g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(contender), contender)).To(Succeed())
				condition := meta.FindStatusCondition(contender.Status.Conditions, v1alpha1.ConditionImported)
				g.Expect(condition.Reason).To(BeElementOf(v1alpha1.ReasonImported, v1alpha1.ReasonImportRefused))
				if condition.Reason == v1alpha1.ReasonImported {
					imported++
				}
			}
			g.Expect(imported).To(BeNumerically("<=", 1))
		}).Should(Succeed())
	})
})

var _ = Describe("A Secret that somebody has made immutable", func() {
	It("keeps no key from being replaced and retired", func(ctx SpecContext) {
		server := startAuthServer(ctx, "one")
		startManager(ctx, account(ctx, managerAccount))
		key := newTenant(ctx).mint(ctx, "prod-agent")
		leaked := plaintextOf(ctx, key)
		patch := client.RawPatch(types.MergePatchType, []byte(`{"immutable":true}`))
		secret := &corev1.Secret{}
		secret.Namespace, secret.Name = key.Namespace, key.SecretName()
		Expect(admin.Patch(ctx, secret, patch)).To(Succeed())
		before := key.Status.KeyID
		change(ctx, key, revoking(before))
		awaitReplaced(ctx, key, before)
		Expect(server.status(plaintextOf(ctx, key))).To(Equal(http.StatusOK))
		Eventually(server.status).WithArguments(leaked).Should(Equal(http.StatusUnauthorized))
	})
})
