// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
)

// permitting has an Organization permit some imports.
func permitting(policy v1alpha1.ImportPolicy) func(*v1alpha1.Organization) {
	return func(o *v1alpha1.Organization) { o.Spec.Imports = policy }
}

// block has an Organization block APIKeys.
func block(keys ...*v1alpha1.APIKey) func(*v1alpha1.Organization) {
	return func(o *v1alpha1.Organization) {
		o.Spec.Blocked = nil
		for _, key := range keys {
			o.Spec.Blocked = append(o.Spec.Blocked, v1alpha1.BlockedAPIKey{Namespace: key.Namespace, Name: key.Name})
		}
	}
}

var _ = Describe("An import", func() {
	var (
		server *authServer
		legacy []byte
	)

	BeforeEach(func(ctx SpecContext) {
		server = startAuthServer(ctx, "one")
		startManager(ctx, account(ctx, managerAccount))
		legacy = []byte("legacy-" + rand.String(32))
	})

	It("needs the Organization's word, and the key that was minted works without it", func(ctx SpecContext) {
		acme := newTenant(ctx)
		key := acme.mint(ctx, "prod-agent", importing(legacy))
		condition := awaitReason(ctx, key, v1alpha1.ConditionImported, v1alpha1.ReasonImportForbidden)
		Expect(condition.Message).To(ContainSubstring("Ask a platform admin to set its spec.imports"))
		Expect(len(condition.Message)).To(BeNumerically("<=", 300))
		Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionStalled)).To(BeTrue())
		Expect(server.status(legacy)).To(Equal(http.StatusUnauthorized))
		Expect(server.status(plaintextOf(ctx, key))).To(Equal(http.StatusOK))
		Eventually(eventReasons).WithArguments(ctx, key).Should(ContainElement(v1alpha1.ReasonImportForbidden))

		change(ctx, acme.organization, permitting(v1alpha1.ImportForeign))
		awaitReason(ctx, key, v1alpha1.ConditionImported, v1alpha1.ReasonImported)
		Expect(server.status(legacy)).To(Equal(http.StatusOK))
	})

	It("ends everywhere when the Organization takes its word back", func(ctx SpecContext) {
		acme := newTenant(ctx, permittingImports)
		key := acme.mint(ctx, "prod-agent", importing(legacy))
		awaitReason(ctx, key, v1alpha1.ConditionImported, v1alpha1.ReasonImported)
		change(ctx, acme.organization, permitting(v1alpha1.ImportForbidden))
		awaitReason(ctx, key, v1alpha1.ConditionImported, v1alpha1.ReasonImportForbidden)
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		Expect(server.status(legacy)).To(Equal(http.StatusUnauthorized))
		Expect(server.status(plaintextOf(ctx, key))).To(Equal(http.StatusOK))
		Eventually(auditOf).WithArguments(key).Should(ContainElement("Revoked " + hashOf(legacy)[:12]))
	})

	DescribeTable("of the hash of a key that was minted is worth nothing, not even when that has ended", func(ctx SpecContext, policy v1alpha1.ImportPolicy) {
		victim := newTenant(ctx).mint(ctx, "victim")
		plaintext := plaintextOf(ctx, victim)
		thief := newTenant(ctx, permitting(policy)).mint(ctx, "thief", importingHash(victim.Status.Versions[0].SHA256))
		awaitReason(ctx, thief, v1alpha1.ConditionImported, v1alpha1.ReasonImportRefused)

		var answers []int
		Expect(admin.Delete(ctx, victim)).To(Succeed())
		Eventually(func(g Gomega) {
			answers = append(answers, server.status(plaintext))
			g.Expect(answers[len(answers)-1]).To(Equal(http.StatusUnauthorized))
		}).Should(Succeed())
		awaitGone(ctx, victim)
		// Another pass over the thief, which sees that nobody has the key any more.
		change(ctx, thief, func(k *v1alpha1.APIKey) { k.Spec.Description = "is it free now?" })
		condition := awaitReason(ctx, thief, v1alpha1.ConditionImported, v1alpha1.ReasonImportRefused)
		Expect(condition.Message).To(ContainSubstring("was a key of another APIKey"))
		Consistently(server.status, time.Second).WithArguments(plaintext).Should(Equal(http.StatusUnauthorized))
		Expect(thief.Status.Versions).To(HaveLen(1))
	},
		Entry("where foreign keys may be imported", v1alpha1.ImportForeign),
		Entry("where any may", v1alpha1.ImportAny),
	)

	DescribeTable("of the hash of a key that has ended", func(ctx SpecContext, policy v1alpha1.ImportPolicy, want int) {
		victim := newTenant(ctx).mint(ctx, "victim")
		plaintext, hash := plaintextOf(ctx, victim), victim.Status.Versions[0].SHA256
		Expect(admin.Delete(ctx, victim)).To(Succeed())
		awaitGone(ctx, victim)
		thief := newTenant(ctx, permitting(policy)).mint(ctx, "thief", importing(legacy), importingHash(hash))
		awaitReason(ctx, thief, v1alpha1.ConditionImported, v1alpha1.ReasonImported)
		Expect(server.status(legacy)).To(Equal(http.StatusOK))
		Expect(server.status(plaintext)).To(Equal(want))
	},
		Entry("is worth nothing where foreign keys may be imported", v1alpha1.ImportForeign, http.StatusUnauthorized),
		Entry("is worth the key where any may, as the docs say", v1alpha1.ImportAny, http.StatusOK),
	)

	It("that came before its owner's is visible to both, and a platform admin decides", func(ctx SpecContext) {
		globex, acme := newTenant(ctx, permittingImports), newTenant(ctx, permittingImports)
		squatter := globex.mint(ctx, "squatter", importing(legacy))
		awaitReason(ctx, squatter, v1alpha1.ConditionImported, v1alpha1.ReasonImported)
		owner := acme.mint(ctx, "owner", importing(legacy))
		condition := awaitReason(ctx, owner, v1alpha1.ConditionImported, v1alpha1.ReasonImportRefused)
		Expect(condition.Message).NotTo(ContainSubstring(squatter.Namespace))
		Eventually(eventNotes).WithArguments(ctx, squatter, v1alpha1.EventImportContested).Should(ConsistOf(SatisfyAll(
			ContainSubstring(hashOf(legacy)[:12]), Not(ContainSubstring(owner.Namespace)))))
		Eventually(refusedImports).WithArguments(owner.Namespace).Should(ContainElement(
			ContainSubstring("APIKey " + squatter.Namespace + "/squatter has")))

		change(ctx, globex.organization, block(squatter))
		awaitReason(ctx, squatter, v1alpha1.ConditionReady, v1alpha1.ReasonBlocked)
		awaitVersions(ctx, squatter, v1alpha1.VersionActive)
		Expect(server.status(legacy)).To(Equal(http.StatusUnauthorized))
		change(ctx, owner, func(k *v1alpha1.APIKey) { k.Spec.ImportedKeys = nil })
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(owner), owner)).To(Succeed())
			g.Expect(owner.Status.RefusedImports).To(BeEmpty())
		}).Should(Succeed())
		change(ctx, owner, importing(legacy))
		awaitReason(ctx, owner, v1alpha1.ConditionImported, v1alpha1.ReasonImported)
		Expect(server.ask(legacy)).To(HaveHTTPHeaderWithValue("X-Scope-OrgID", acme.organization.Spec.ID))

		// When the block is lifted the squatter has its own key back, and that one not.
		change(ctx, globex.organization, block())
		awaitServing(ctx, squatter)
		awaitReason(ctx, squatter, v1alpha1.ConditionImported, v1alpha1.ReasonImportRefused)
		Expect(server.status(plaintextOf(ctx, squatter))).To(Equal(http.StatusOK))
		Expect(server.ask(legacy)).To(HaveHTTPHeaderWithValue("X-Scope-OrgID", acme.organization.Spec.ID))
	})

	It("makes no key younger by being taken out of the list and put back", func(ctx SpecContext) {
		acme := newTenant(ctx, permittingImports)
		key := acme.mint(ctx, "prod-agent", importing(legacy))
		awaitReason(ctx, key, v1alpha1.ConditionImported, v1alpha1.ReasonImported)
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.ImportedKeys = nil })
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		// Ages are counted in seconds.
		Eventually(time.Now).Should(BeTemporally(">", key.CreationTimestamp.Add(2*time.Second)))
		change(ctx, key, importing(legacy))
		awaitReason(ctx, key, v1alpha1.ConditionImported, v1alpha1.ReasonImported)
		Expect(key.Status.Versions).To(HaveLen(2))
		Expect(key.Status.Versions[1].RegistrationTime.Time).To(BeTemporally("==", key.CreationTimestamp.Time))
	})

	It("cannot imitate the key ID of another APIKey's key", func(ctx SpecContext) {
		victim := newTenant(ctx).mint(ctx, "victim")
		imitation := victim.Status.KeyID + strings.Repeat("0", 52)
		forger := newTenant(ctx, permitting(v1alpha1.ImportAny)).mint(ctx, "forger", importingHash(imitation))
		condition := awaitReason(ctx, forger, v1alpha1.ConditionImported, v1alpha1.ReasonImportRefused)
		Expect(condition.Message).To(ContainSubstring("has the key ID of a key of another APIKey"))
		Expect(forger.Status.Versions).To(HaveLen(1))
	})

	It("that is refused again and again is some lines of audit", func(ctx SpecContext) {
		globex := newTenant(ctx, permittingImports)
		victim := newTenant(ctx, permittingImports).mint(ctx, "victim", importing(legacy))
		awaitReason(ctx, victim, v1alpha1.ConditionImported, v1alpha1.ReasonImported)
		for i := range 20 {
			one := globex.key("one-of-many-"+string(rune('a'+i)), importing(legacy))
			Expect(as("mallory").Create(ctx, one)).To(Succeed())
			awaitReason(ctx, one, v1alpha1.ConditionImported, v1alpha1.ReasonImportRefused)
		}
		Expect(len(refusedImports(globex.namespace))).To(BeNumerically("<=", 2))
	})
})

var _ = Describe("An APIKey that its Organization blocks", func() {
	It("is refused everywhere, says so, and its tenant cannot undo it", func(ctx SpecContext) {
		server := startAuthServer(ctx, "one")
		startManager(ctx, account(ctx, managerAccount))
		acme := newTenant(ctx)
		key, other := acme.mint(ctx, "leaky"), acme.mint(ctx, "other")
		plaintext := plaintextOf(ctx, key)

		changeAs(ctx, "ada", acme.organization, block(key))
		awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonBlocked)
		awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonRevoked)
		Expect(server.status(plaintext)).To(Equal(http.StatusUnauthorized))
		Expect(server.status(plaintextOf(ctx, other))).To(Equal(http.StatusOK), "it is about one APIKey")
		condition := meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionPermitted)
		Expect(condition.Message).To(Equal("The Organization blocks this APIKey. Ask a platform admin."))
		Eventually(eventReasons).WithArguments(ctx, key).Should(ContainElement(v1alpha1.ReasonBlocked))
		line := expectLine(key, audit.Suspended, audit.Actor{Kind: audit.ActorUser, Name: "ada", Of: "Organization/" + acme.organization.Name})
		Expect(line).To(HaveField("Reason", v1alpha1.ReasonBlocked))

		// The tenant suspends, rotates, and makes it anew.
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Suspend = true })
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Suspend = false; rotating(k) })
		awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonBlocked)
		Expect(server.status(plaintext)).To(Equal(http.StatusUnauthorized))
		Expect(admin.Delete(ctx, key)).To(Succeed())
		awaitGone(ctx, key)
		anew := acme.key("leaky")
		Expect(admin.Create(ctx, anew)).To(Succeed())
		awaitReason(ctx, anew, v1alpha1.ConditionReady, v1alpha1.ReasonBlocked)
		Expect(anew.Status.Versions).To(BeEmpty())

		changeAs(ctx, "ada", acme.organization, block())
		awaitReady(ctx, anew)
		Expect(server.status(plaintextOf(ctx, anew))).To(Equal(http.StatusOK))
	})
})
