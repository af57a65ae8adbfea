// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
)

var _ = Describe("The audit trail", Ordered, func() {
	var server *authServer

	BeforeAll(func(ctx SpecContext) {
		awaitStamps(ctx)
		server = startAuthServer(ctx, "audit-1")
		startAuthServer(ctx, "audit-2")
		startManager(ctx, account(ctx, managerAccount))
	})

	// Each transition is one step: what is done, by whom, and the line that it leaves.
	It("has a line with an actor for every transition in the life of a key", func(ctx SpecContext) {
		t := newTenant(ctx)
		key := t.key("walked")
		Expect(as("erin").Create(ctx, key)).To(Succeed())
		awaitReady(ctx, key)
		expectLine(key, audit.Minted, byUser("erin"))
		expectLine(key, audit.Published, byUser("erin"))

		changeAs(ctx, "sam", key, func(k *v1alpha1.APIKey) { k.Spec.Suspend = true })
		awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonSuspended)
		expectLine(key, audit.Suspended, byUser("sam"))
		changeAs(ctx, "rita", key, func(k *v1alpha1.APIKey) { k.Spec.Suspend = false })
		awaitReady(ctx, key)
		expectLine(key, audit.Resumed, byUser("rita"))

		organization := "Organization/" + t.organization.Name
		changeAs(ctx, "olga", t.organization, func(o *v1alpha1.Organization) { o.Spec.Suspend = true })
		awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonOrganizationSuspended)
		expectLine(key, audit.Suspended, audit.Actor{Kind: audit.ActorUser, Name: "olga", Of: organization})
		changeAs(ctx, "omar", t.organization, func(o *v1alpha1.Organization) { o.Spec.Suspend = false })
		awaitReady(ctx, key)
		expectLine(key, audit.Resumed, audit.Actor{Kind: audit.ActorUser, Name: "omar", Of: organization})

		withdrawn := audit.Actor{Kind: audit.ActorManager, Cause: audit.CausePermission, Of: organization, LastChangedBy: "omar"}
		relabel(ctx, t, "other")
		awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonNamespaceNotPermitted)
		expectLine(key, audit.Refused, withdrawn)
		relabel(ctx, t, t.namespace)
		awaitReady(ctx, key)
		expectLine(key, audit.Resumed, withdrawn)

		before := key.Status.KeyID
		deleteSecretOf(ctx, key)
		awaitReplaced(ctx, key, before)
		expectLine(key, audit.DriftRepaired, audit.Manager(audit.CauseDrift))

		changeAs(ctx, "sam", key, func(k *v1alpha1.APIKey) {
			k.Spec.ExpirationTime = ptr.To(metav1.NewTime(time.Now().Add(time.Second)))
		})
		awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonExpired)
		expectLine(key, audit.Expired, audit.Manager(audit.CauseExpiry))
		changeAs(ctx, "rita", key, func(k *v1alpha1.APIKey) { k.Spec.ExpirationTime = nil })
		awaitReady(ctx, key)
		expectLine(key, audit.Resumed, byUser("rita"))

		id := key.Status.KeyID
		Expect(as("dora").Delete(ctx, key.DeepCopy())).To(Succeed())
		awaitGone(ctx, key)
		revoked := expectLine(key, audit.Revoked, SatisfyAll(
			HaveField("Kind", audit.ActorDeletion), HaveField("LastChangedBy", "rita"), HaveField("Time", Not(BeNil()))))
		Expect(revoked.KeyID).To(Equal(id))

		By("joining it with the API server's own audit log, which knows who deleted")
		Eventually(func(g Gomega) {
			events, err := plane.AuditEvents()
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(events).To(ContainElement(SatisfyAll(
				HaveField("Verb", "delete"),
				HaveField("ImpersonatedUser.Username", "dora"),
				HaveField("Annotations", HaveKeyWithValue("apikey-deletion/uid", string(revoked.UID))),
				HaveField("Annotations", HaveKeyWithValue("apikey-deletion/key-ids", ContainSubstring(id))),
			)))
		}).Should(Succeed())
	})

	It("has a line with an actor for every transition in which a key is replaced", func(ctx SpecContext) {
		legacy := []byte("legacy-" + rand.String(32))
		key := newTenant(ctx, permittingImports).key("turned-over", importing(legacy), overlapping(0, 0, time.Hour))
		Expect(as("erin").Create(ctx, key)).To(Succeed())
		awaitReady(ctx, key)
		awaitReason(ctx, key, v1alpha1.ConditionImported, v1alpha1.ReasonImported)
		Expect(expectLine(key, audit.Imported, byUser("erin")).KeyID).To(Equal(hashOf(legacy)[:12]))
		first := key.Status.KeyID

		changeAs(ctx, "rob", key, rotating)
		awaitReplaced(ctx, key, first)
		second := key.Status.KeyID
		expectLine(key, audit.Minted, byUser("rob"))
		expectLine(key, audit.Published, byUser("rob"))
		Expect(expectLine(key, audit.Rotated, byUser("rob"))).To(SatisfyAll(
			HaveField("KeyID", second), HaveField("PreviousKeyID", first), HaveField("Reason", "RotateAfter")))

		changeAs(ctx, "una", key, pinning(first))
		awaitReplaced(ctx, key, second)
		Expect(expectLine(key, audit.RotationUndone, byUser("una"))).To(SatisfyAll(
			HaveField("KeyID", first), HaveField("PreviousKeyID", second)))

		changeAs(ctx, "rex", key, revokingReplaced)
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		expectLine(key, audit.Retired, byUser("rex"))

		// In one change: without the pin the rotateAfter that was there is due at once.
		changeAs(ctx, "rob", key, func(k *v1alpha1.APIKey) {
			pinning("")(k)
			rotating(k)
		})
		awaitReplaced(ctx, key, first)
		for range 3 {
			Expect(server.status(plaintextOf(ctx, key))).To(Equal(200))
		}
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		Expect(expectLine(key, audit.Retired, audit.Manager(audit.CauseUsage))).To(SatisfyAll(
			HaveField("KeyID", first), HaveField("Reason", "Unused")))

		another := []byte("another-" + rand.String(32))
		changeAs(ctx, "ina", key, importing(another))
		awaitReason(ctx, key, v1alpha1.ConditionImported, v1alpha1.ReasonImported)
		expectLine(key, audit.Imported, byUser("ina"))
		changeAs(ctx, "ulf", key, func(k *v1alpha1.APIKey) { k.Spec.ImportedKeys = nil })
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		Expect(expectLine(key, audit.Revoked, byUser("ulf")).KeyID).To(Equal(hashOf(another)[:12]))
	})

	It("tells of many that were never permitted in a few lines, with who asked", func(ctx SpecContext) {
		t := newTenant(ctx, func(o *v1alpha1.Organization) { o.Spec.Namespaces = v1alpha1.NamespacePolicy{} })
		for i := range 20 {
			key := t.key("unwanted-" + string(rune('a'+i)))
			Expect(as("mallory").Create(ctx, key)).To(Succeed())
			awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonNamespaceNotPermitted)
		}
		refusals := func() (found []audit.Event) {
			for _, event := range allLines() {
				if event.Action == audit.Refused && event.Namespace == t.namespace {
					found = append(found, event)
				}
			}
			return found
		}
		Eventually(refusals).ShouldNot(BeEmpty())
		Expect(refusals()).To(HaveEach(SatisfyAll(
			HaveField("Actor", byUser("mallory")), HaveField("Reason", v1alpha1.ReasonNamespaceNotPermitted), HaveField("Count", BeNumerically(">", 0)))))
		// The first at once, and what came after it at the end of a minute.
		Expect(len(refusals())).To(BeNumerically("<=", 3))
	})

	It("says so when somebody takes the finalizer off", func(ctx SpecContext) {
		// One that is not heard from keeps the manager waiting.
		silenced := &silencer{}
		silent := startAuthServer(ctx, "audit-silent", silenced.wrap)
		DeferCleanup(func() { silenced.silent.Store(false) })
		key := newTenant(ctx).mint(ctx, "escaping")
		silenced.silent.Store(true)
		Expect(silent.status(plaintextOf(ctx, key))).To(Equal(200))
		Expect(admin.Delete(ctx, key.DeepCopy())).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			before := key.DeepCopy()
			key.Finalizers = nil
			g.Expect(admin.Patch(ctx, key, client.MergeFrom(before))).To(Succeed())
		}).Should(Succeed())
		awaitGone(ctx, key)
		Expect(expectLine(key, audit.Revoked, HaveField("Kind", audit.ActorDeletion)).Reason).To(Equal(v1alpha1.ReasonFinalizerRemoved))
	})

	It("is whole", func() {
		verifier := audit.NewVerifier(audit.VerifierOptions{Report: func(d audit.Defect) { Fail(d.String()) }})
		Expect(verifier.Read("trail", bytes.NewReader(trail.Bytes()))).To(Succeed())
		Expect(verifier.Finish().Lines).To(BeNumerically(">", 10))
	})
})

func byUser(name string) audit.Actor { return audit.Actor{Kind: audit.ActorUser, Name: name} }

// as is a client of a user who may do everything.
func as(user string) client.Client {
	GinkgoHelper()
	config := plane.Admin()
	config.Impersonate.UserName, config.Impersonate.Groups = user, []string{"system:masters"}
	return clientOf(config)
}

// changeAs changes an object as a user would.
func changeAs[T client.Object](ctx context.Context, user string, obj T, f func(T)) {
	GinkgoHelper()
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
	before := obj.DeepCopyObject().(T)
	f(obj)
	Expect(as(user).Patch(ctx, obj, client.MergeFrom(before))).To(Succeed())
}

// awaitStamps waits until the API server stamps who asks, which it begins a moment
// after the policy is created.
func awaitStamps(ctx context.Context) {
	GinkgoHelper()
	t := newTenant(ctx)
	Eventually(func() map[string]string {
		probe := t.key("probe")
		Expect(as("probe").Create(ctx, probe, client.DryRunAll)).To(Succeed())
		return probe.Annotations
	}).Should(HaveKeyWithValue(v1alpha1.AnnotationRequestedBy, "probe"))
}

// allLines are the events of the audit trail.
func allLines() (found []audit.Event) {
	GinkgoHelper()
	lines := bufio.NewScanner(bytes.NewReader(trail.Bytes()))
	for lines.Scan() {
		var event audit.Event
		Expect(json.Unmarshal(lines.Bytes(), &event)).To(Succeed())
		found = append(found, event)
	}
	return found
}

// linesOf are the events about one APIKey.
func linesOf(key *v1alpha1.APIKey) (found []audit.Event) {
	for _, event := range allLines() {
		if event.UID == key.UID {
			found = append(found, event)
		}
	}
	return found
}

// expectLine waits for the latest line about an action to have this actor.
func expectLine(key *v1alpha1.APIKey, action audit.Action, actor any) (found audit.Event) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var latest *audit.Event
		for _, event := range linesOf(key) {
			if event.Action == action {
				latest = &event
			}
			g.Expect(event.Actor.Kind).NotTo(BeElementOf(audit.ActorKind(""), audit.ActorUnknown), "%+v", event)
		}
		g.Expect(latest).NotTo(BeNil(), "no line %s", action)
		g.Expect(*latest).To(HaveField("Actor", actor))
		found = *latest
	}).Should(Succeed())
	return found
}
