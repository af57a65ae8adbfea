// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
)

var _ = Describe("A key that was issued elsewhere", func() {
	var (
		server      *authServer
		stopManager func()
		acme        *tenant
		key         *v1alpha1.APIKey
		legacy      []byte
	)

	BeforeEach(func(ctx SpecContext) {
		server = startAuthServer(ctx, "one")
		stopManager = startManager(ctx, account(ctx, managerAccount))
		acme = newTenant(ctx, permittingImports)
		legacy = []byte("legacy-" + rand.String(32))
		key = acme.mint(ctx, "prod-agent", importing(legacy), quicklyRetired)
		awaitReason(ctx, key, v1alpha1.ConditionImported, v1alpha1.ReasonImported)
	})

	It("works beside the key that was minted, for the same organization and scopes", func(ctx SpecContext) {
		for _, sent := range [][]byte{legacy, plaintextOf(ctx, key)} {
			response := server.ask(sent)
			Expect(response).To(HaveHTTPStatus(http.StatusOK))
			Expect(response).To(HaveHTTPHeaderWithValue("X-Scope-OrgID", acme.organization.Spec.ID))
			Expect(response).To(HaveHTTPHeaderWithValue("X-API-Key-Name", key.Namespace+"/prod-agent"))
		}
		Expect(server.ask(legacy)).To(HaveHTTPHeaderWithValue("X-API-Key-ID", hashOf(legacy)[:12]))
		Expect(secretOf(ctx, key).Data).To(HaveLen(3), "an imported key is in no Secret")

		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Scopes = []v1alpha1.Scope{v1alpha1.ScopeIngest} })
		Eventually(func() int { return server.status(legacy) }).Should(Equal(http.StatusForbidden), "it asks for the scope query")
	})

	It("is known everywhere when Imported says so, also beside a key that works already", func(ctx SpecContext) {
		other := startAuthServer(ctx, "two")
		another := []byte("another-" + rand.String(32))
		change(ctx, key, importing(another))
		awaitReason(ctx, key, v1alpha1.ConditionImported, v1alpha1.ReasonImported)
		for _, s := range []*authServer{server, other} {
			Expect(s.status(another)).To(Equal(http.StatusOK))
			Expect(s.status(legacy)).To(Equal(http.StatusOK))
		}
		Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
	})

	It("is not said to be imported while an auth server that may call it unknown has not heard of it", func(ctx SpecContext) {
		silenced := &silencer{}
		lost := startAuthServer(ctx, "lost", silenced.wrap)
		silenced.silent.Store(true)
		DeferCleanup(func() { silenced.silent.Store(false) })
		another := []byte("another-" + rand.String(32))
		change(ctx, key, importing(another))
		condition := awaitReason(ctx, key, v1alpha1.ConditionImported, v1alpha1.ReasonImporting)
		Expect(condition.Status).To(Equal(metav1.ConditionFalse))
		Expect(server.status(another)).To(Equal(http.StatusOK), "who has heard of it does not wait for the others")

		awaitReason(ctx, key, v1alpha1.ConditionImported, v1alpha1.ReasonImported)
		Expect(lost.statusOnce(another)).To(Equal(http.StatusServiceUnavailable), "it may be new, so nobody calls it malformed")
		Expect(key.Status.AppliedGeneration).To(BeNumerically("<", key.Generation), "who is not fenced yet may go by what else the spec was")
	})

	It("is refused everywhere before its entry goes, when it is taken out of the list", func(ctx SpecContext) {
		minted := plaintextOf(ctx, key)
		other := startAuthServer(ctx, "two")
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.ImportedKeys = nil })
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		for _, s := range []*authServer{server, other} {
			Expect(s.status(legacy)).To(Equal(http.StatusUnauthorized))
			Expect(s.status(minted)).To(Equal(http.StatusOK))
		}
		Expect(key.Status.Imports).To(BeEmpty())
		Eventually(func() *metav1.Condition {
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			return meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionImported)
		}).Should(BeNil())
		Expect(auditOf(key)).To(ContainElements("Imported "+hashOf(legacy)[:12], "Revoked "+hashOf(legacy)[:12]))
	})

	It("stays an entry while some auth server may accept it", func(ctx SpecContext) {
		silenced := &silencer{}
		lost := startAuthServer(ctx, "lost", silenced.wrap)
		Expect(lost.status(legacy)).To(Equal(http.StatusOK))
		silenced.silent.Store(true)
		DeferCleanup(func() { silenced.silent.Store(false) })
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.ImportedKeys = nil })
		Eventually(func() int { return server.status(legacy) }).Should(Equal(http.StatusUnauthorized))
		Expect(lost.status(legacy)).To(Equal(http.StatusOK), "a replica that does not know better")
		// While the entry is there, somebody may accept the key. When it has gone, nobody does.
		answers := []int{}
		Eventually(func(g Gomega) {
			answers = append(answers, lost.statusOnce(legacy))
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			g.Expect(key.Status.Versions).To(HaveLen(1))
		}).WithTimeout(30 * time.Second).Should(Succeed())
		Expect(lost.statusOnce(legacy)).To(Equal(http.StatusServiceUnavailable))
		Expect(answers).To(ContainElement(http.StatusOK), "it was fenced long before it was counted out")
	}, NodeTimeout(time.Minute))

	It("retires with the first rotation, and does not come back while it is listed", func(ctx SpecContext) {
		change(ctx, key, rotating)
		awaitVersions(ctx, key, v1alpha1.VersionRetiring, v1alpha1.VersionRetiring, v1alpha1.VersionActive)
		Expect(server.status(legacy)).To(Equal(http.StatusOK))

		change(ctx, key, revokingReplaced)
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		Expect(server.status(legacy)).To(Equal(http.StatusUnauthorized))
		Expect(auditOf(key)).To(ContainElement("Retired " + hashOf(legacy)[:12]))

		// Neither a later pass, nor another manager brings it back.
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Description = "another pass" })
		awaitReady(ctx, key)
		stopManager()
		startManager(ctx, account(ctx, managerAccount))
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Description = "and another" })
		awaitReady(ctx, key)
		Expect(key.Status.Versions).To(HaveLen(1))
		Expect(key.Spec.ImportedKeys).To(HaveLen(1))
		Expect(server.status(legacy)).To(Equal(http.StatusUnauthorized))
	})

	It("stays the key of the APIKey that had it first, and is refused on another, visibly", func(ctx SpecContext) {
		globex := newTenant(ctx, permittingImports)
		thief := globex.mint(ctx, "thief", importing(legacy))
		condition := awaitReason(ctx, thief, v1alpha1.ConditionImported, v1alpha1.ReasonImportRefused)
		Expect(condition.Status).To(Equal(metav1.ConditionFalse))
		Expect(condition.Message).To(ContainSubstring(hashOf(legacy)[:12]))
		Expect(condition.Message).NotTo(Or(ContainSubstring("prod-agent"), ContainSubstring(key.Namespace)), "the other namespace is not this one's business")
		Expect(meta.IsStatusConditionTrue(thief.Status.Conditions, v1alpha1.ConditionServing)).To(BeTrue(), "its own key works")
		Expect(meta.IsStatusConditionTrue(thief.Status.Conditions, v1alpha1.ConditionStalled)).To(BeTrue())
		Expect(thief.Status.Versions).To(HaveLen(1))
		Expect(server.ask(legacy)).To(HaveHTTPHeaderWithValue("X-Scope-OrgID", acme.organization.Spec.ID))
		Eventually(refusedImports).WithArguments(thief.Namespace).Should(ContainElement(SatisfyAll(
			ContainSubstring("spec.importedKeys has key "+hashOf(legacy)[:12]), ContainSubstring("APIKey "+key.Namespace+"/prod-agent has"))))

		neighbor := acme.mint(ctx, "neighbor", importing(legacy))
		condition = awaitReason(ctx, neighbor, v1alpha1.ConditionImported, v1alpha1.ReasonImportRefused)
		Expect(condition.Message).To(ContainSubstring(hashOf(legacy)[:12]))
		Eventually(eventNotes).WithArguments(ctx, neighbor, v1alpha1.ReasonImportRefused).Should(ContainElement(ContainSubstring(`APIKey "prod-agent"`)))
		Expect(eventNotes(ctx, thief, v1alpha1.ReasonImportRefused)).NotTo(ContainElement(ContainSubstring("prod-agent")))
	})

	It("cannot be taken from a younger APIKey that had it first", func(ctx SpecContext) {
		globex := newTenant(ctx, permittingImports)
		elder := globex.mint(ctx, "elder")
		// Ages are counted in seconds.
		Eventually(time.Now).Should(BeTemporally(">", elder.CreationTimestamp.Add(time.Second)))
		theirs := []byte("theirs-" + rand.String(32))
		younger := acme.mint(ctx, "younger", importing(theirs))
		awaitReason(ctx, younger, v1alpha1.ConditionImported, v1alpha1.ReasonImported)

		change(ctx, elder, importing(theirs))
		awaitReason(ctx, elder, v1alpha1.ConditionImported, v1alpha1.ReasonImportRefused)
		change(ctx, elder, importingHash(key.Status.Versions[0].SHA256))
		awaitReason(ctx, elder, v1alpha1.ConditionImported, v1alpha1.ReasonImportRefused)
		Expect(server.ask(theirs)).To(HaveHTTPHeaderWithValue("X-Scope-OrgID", acme.organization.Spec.ID))
		Expect(server.ask(plaintextOf(ctx, key))).To(HaveHTTPHeaderWithValue("X-Scope-OrgID", acme.organization.Spec.ID))
	})

	It("is taken up by one, when many want it in the same moment", func(ctx SpecContext) {
		wanted := []byte("wanted-" + rand.String(32))
		var all []*v1alpha1.APIKey
		for i := range 12 {
			tenant := acme
			if i%2 == 0 {
				tenant = newTenant(ctx, permittingImports)
			}
			all = append(all, tenant.mint(ctx, fmt.Sprintf("one-of-many-%d", i)))
		}
		var asking sync.WaitGroup
		for _, one := range all {
			asking.Go(func() {
				defer GinkgoRecover()
				change(ctx, one, importing(wanted))
			})
		}
		asking.Wait()
		var has []string
		for _, one := range all {
			Eventually(func(g Gomega) {
				g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(one), one)).To(Succeed())
				condition := meta.FindStatusCondition(one.Status.Conditions, v1alpha1.ConditionImported)
				g.Expect(condition).NotTo(BeNil())
				g.Expect(condition.Reason).To(BeElementOf(v1alpha1.ReasonImported, v1alpha1.ReasonImportRefused), condition.Message)
			}).Should(Succeed())
			if len(one.Status.Versions) > 1 {
				has = append(has, one.Namespace+"/"+one.Name)
			}
			Expect(auditOf(one)).NotTo(ContainElement("Revoked "+hashOf(wanted)[:12]), "it had it for a while")
		}
		Expect(has).To(HaveLen(1))
		Expect(server.ask(wanted)).To(HaveHTTPHeaderWithValue("X-API-Key-Name", has[0]))
	})

	It("stays that of the older APIKey when two come to have it", func(ctx SpecContext) {
		stopManager()
		// Ages are counted in seconds.
		Eventually(time.Now).Should(BeTemporally(">", key.CreationTimestamp.Add(time.Second)))
		copied := newTenant(ctx, permittingImports).key("copied", importing(legacy))
		Expect(admin.Create(ctx, copied)).To(Succeed())
		copied.Status = *key.Status.DeepCopy()
		copied.Status.UID = copied.UID
		copied.Status.OrganizationID = copied.Spec.OrganizationRef.Name + "-id"
		Expect(clientOf(account(ctx, managerAccount)).Status().Update(ctx, copied)).To(Succeed())

		startManager(ctx, account(ctx, managerAccount))
		awaitReason(ctx, copied, v1alpha1.ConditionImported, v1alpha1.ReasonImportRefused)
		awaitReplaced(ctx, copied, key.Status.KeyID)
		awaitVersions(ctx, copied, v1alpha1.VersionActive)
		Expect(copied.Status.Imports).To(BeEmpty())
		for _, sent := range [][]byte{legacy, plaintextOf(ctx, key)} {
			Expect(server.ask(sent)).To(HaveHTTPHeaderWithValue("X-Scope-OrgID", acme.organization.Spec.ID))
		}
	})

	It("is taken up by whoever lists it anew when nobody has it any more, and by nobody before", func(ctx SpecContext) {
		heir := acme.mint(ctx, "heir", importing(legacy))
		awaitReason(ctx, heir, v1alpha1.ConditionImported, v1alpha1.ReasonImportRefused)

		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.ImportedKeys = nil })
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		Expect(server.status(legacy)).To(Equal(http.StatusUnauthorized))
		another := []byte("another-" + rand.String(32))
		change(ctx, heir, importing(another))
		Eventually(server.status).WithArguments(another).Should(Equal(http.StatusOK), "what else it lists is taken up")
		Expect(server.status(legacy)).To(Equal(http.StatusUnauthorized), "what was refused is not")

		change(ctx, heir, func(k *v1alpha1.APIKey) { k.Spec.ImportedKeys = nil })
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(heir), heir)).To(Succeed())
			g.Expect(heir.Status.RefusedImports).To(BeEmpty())
		}).Should(Succeed())
		change(ctx, heir, importing(legacy))
		awaitReason(ctx, heir, v1alpha1.ConditionImported, v1alpha1.ReasonImported)
		Expect(server.ask(legacy)).To(HaveHTTPHeaderWithValue("X-API-Key-Name", heir.Namespace+"/heir"))
	})

	It("is nobody else's to import after it has retired, as long as it is listed", func(ctx SpecContext) {
		id := key.Status.KeyID
		change(ctx, key, rotating)
		awaitReplaced(ctx, key, id)
		change(ctx, key, revokingReplaced)
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		globex := newTenant(ctx, permittingImports)
		thief := globex.mint(ctx, "thief", importing(legacy))
		awaitReason(ctx, thief, v1alpha1.ConditionImported, v1alpha1.ReasonImportRefused)
		Expect(server.status(legacy)).To(Equal(http.StatusUnauthorized))
	})

	It("causes no write once it is taken up, or refused", func(ctx SpecContext) {
		refused := acme.mint(ctx, "refused", importing(legacy))
		awaitReason(ctx, refused, v1alpha1.ConditionImported, v1alpha1.ReasonImportRefused)
		// Another pass over each, which is about something else.
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: acme.namespace}}
		before := map[string]string{}
		for _, one := range []*v1alpha1.APIKey{key, refused} {
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(one), one)).To(Succeed())
			before[one.Name] = one.ResourceVersion
		}
		// In another second: that is what times of conditions are counted in.
		second := time.Now().Truncate(time.Second)
		Eventually(time.Now).Should(BeTemporally(">", second.Add(time.Second)))
		change(ctx, namespace, func(n *corev1.Namespace) { n.Labels = map[string]string{"another": "label"} })
		Consistently(func(g Gomega) {
			for _, one := range []*v1alpha1.APIKey{key, refused} {
				g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(one), one)).To(Succeed())
				g.Expect(one.ResourceVersion).To(Equal(before[one.Name]), "%s: %+v", one.Name, one.Status)
			}
		}, 1500*time.Millisecond).Should(Succeed())
	})

	It("is refused with everything else while its APIKey is suspended", func(ctx SpecContext) {
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Suspend = true })
		awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonRevoked)
		Expect(server.status(legacy)).To(Equal(http.StatusUnauthorized))
		// What is taken out of the list meanwhile does not work when the others do again.
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.ImportedKeys, k.Spec.Suspend = nil, false })
		awaitReady(ctx, key)
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		Expect(server.status(plaintextOf(ctx, key))).To(Equal(http.StatusOK))
		Expect(server.status(legacy)).To(Equal(http.StatusUnauthorized))
	})

	It("is forever refused after its APIKey is gone", func(ctx SpecContext) {
		Expect(admin.Delete(ctx, key)).To(Succeed())
		awaitGone(ctx, key)
		Expect(server.status(legacy)).To(Equal(http.StatusUnauthorized))
		Expect(auditOf(key)).To(ContainElements("Revoked "+hashOf(legacy)[:12], "Revoked "+key.Status.KeyID))
	})
})

// hashOf is what spec.importedKeys has of a key.
func hashOf(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:])
}

// auditOf are the actions of the audit trail for one APIKey, each with its key's ID.
func auditOf(key *v1alpha1.APIKey) []string {
	GinkgoHelper()
	var lines []string
	decoder := json.NewDecoder(bytes.NewReader(trail.Bytes()))
	for decoder.More() {
		event := audit.Event{}
		Expect(decoder.Decode(&event)).To(Succeed())
		if event.UID == key.UID {
			lines = append(lines, string(event.Action)+" "+event.KeyID)
		}
	}
	return lines
}

// refusedImports are the messages of the audit trail about imports that were refused in a
// namespace.
func refusedImports(namespace string) []string {
	GinkgoHelper()
	var messages []string
	decoder := json.NewDecoder(bytes.NewReader(trail.Bytes()))
	for decoder.More() {
		event := audit.Event{}
		Expect(decoder.Decode(&event)).To(Succeed())
		if event.Action == audit.Refused && event.Reason == v1alpha1.ReasonImportRefused && event.Namespace == namespace {
			messages = append(messages, event.Message)
		}
	}
	return messages
}

// permittingImports has an Organization permit keys that were issued elsewhere.
func permittingImports(o *v1alpha1.Organization) { o.Spec.Imports = v1alpha1.ImportForeign }

// importing has an APIKey import a key, beside those that it imports already.
func importing(key []byte) func(*v1alpha1.APIKey) { return importingHash(hashOf(key)) }

func importingHash(hash string) func(*v1alpha1.APIKey) {
	return func(k *v1alpha1.APIKey) {
		k.Spec.ImportedKeys = append(k.Spec.ImportedKeys, v1alpha1.ImportedKey{SHA256: hash})
	}
}

// quicklyRetired has keys that were replaced wait for nothing but an order.
func quicklyRetired(k *v1alpha1.APIKey) {
	k.Spec.Rotation.Overlap.Min = &metav1.Duration{}
}
