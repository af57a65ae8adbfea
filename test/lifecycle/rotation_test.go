// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bytes"
	"maps"
	"net/http"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/controllers"
	"github.com/hexcovery/apikey-operator/hack/stack"
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

// witness says what it is told to about the use of keys.
type witness struct {
	mu       sync.Mutex
	uses     map[string]usage.Use
	coverage func() usage.Coverage
}

func newWitness() *witness {
	return &witness{uses: map[string]usage.Use{}, coverage: func() usage.Coverage { return usage.Coverage{Until: time.Now()} }}
}

func (w *witness) Use(_ types.UID, keyID string) usage.Use {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.uses[keyID]
}

func (w *witness) Coverage() usage.Coverage {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.coverage()
}

// sees has the key of that ID be used now.
func (w *witness) sees(keyID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	requests := int64(1)
	for _, source := range w.uses[keyID].Sources {
		requests += source.Requests
	}
	w.uses[keyID] = usage.Use{LastUsed: time.Now(), Sources: []usage.Source{{Endpoint: "original", Gateway: "192.0.2.7", Requests: requests}}}
}

// laterClock is ahead of the real one.
type laterClock struct {
	clock.RealClock
	lead time.Duration
}

func (c laterClock) Now() time.Time                  { return c.RealClock.Now().Add(c.lead) }
func (c laterClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func duration(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

// overlapping gives a key an overlap.
func overlapping(least, idle, most time.Duration) func(*v1alpha1.APIKey) {
	return func(k *v1alpha1.APIKey) {
		k.Spec.Rotation.Overlap = v1alpha1.Overlap{Min: duration(least), Idle: duration(idle), Max: duration(most)}
	}
}

// rotating asks for another key in place of those that there are.
func rotating(k *v1alpha1.APIKey) {
	GinkgoHelper()
	after := stack.RotateAfter(k)
	// It comes with the first look.
	Eventually(time.Now).Should(BeTemporally(">=", after.Time))
	k.Spec.Rotation.RotateAfter = after
}

// revoking ends keys, by their IDs.
func revoking(ids ...string) func(*v1alpha1.APIKey) {
	return func(k *v1alpha1.APIKey) { k.Spec.RevokedKeyIDs = append(k.Spec.RevokedKeyIDs, ids...) }
}

// revokingReplaced ends the keys that were replaced.
func revokingReplaced(k *v1alpha1.APIKey) {
	for _, v := range k.Status.Versions {
		if v.State == v1alpha1.VersionRetiring {
			revoking(v.ID)(k)
		}
	}
}

// pinning has a key be the current one; "" for the one that was minted last.
func pinning(id string) func(*v1alpha1.APIKey) {
	return func(k *v1alpha1.APIKey) { k.Spec.ActiveKeyID = id }
}

var _ = Describe("Rotation", func() {
	var (
		replicas []*authServer
		seen     *witness
	)
	BeforeEach(func(ctx SpecContext) {
		replicas = []*authServer{startAuthServer(ctx, "rotation-a"), startAuthServer(ctx, "rotation-b")}
		seen = newWitness()
	})
	begin := func(ctx SpecContext, specify ...func(*controllers.Options)) {
		GinkgoHelper()
		startManager(ctx, account(ctx, managerAccount), append(specify, func(o *controllers.Options) { o.Usage = seen })...)
	}
	expectStatus := func(key []byte, status int) {
		GinkgoHelper()
		for _, replica := range replicas {
			Expect(replica.status(key)).To(Equal(status))
		}
	}
	// rotate has the key rotate, and returns the key before it.
	rotate := func(ctx SpecContext, key *v1alpha1.APIKey) (old []byte, oldID string) {
		GinkgoHelper()
		old, oldID = plaintextOf(ctx, key), key.Status.KeyID
		change(ctx, key, rotating)
		awaitReplaced(ctx, key, oldID)
		return old, oldID
	}

	It("keeps the key that was replaced until its successor is used and it is idle", func(ctx SpecContext) {
		begin(ctx)
		key := newTenant(ctx).mint(ctx, "rotating", overlapping(0, 2*time.Second, time.Hour))
		old, oldID := rotate(ctx, key)
		Expect(key.Status.Versions).To(HaveLen(2))
		expectStatus(old, http.StatusOK)
		expectStatus(plaintextOf(ctx, key), http.StatusOK)
		previous := previousSecretOf(ctx, key)
		Expect(previous.Data).To(Equal(map[string][]byte{v1alpha1.SecretKeyAPIKey: old}))
		Expect(previous.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationKeyID, oldID))
		secret := secretOf(ctx, key)

		By("using the successor")
		awaitReason(ctx, key, v1alpha1.ConditionRotated, v1alpha1.ReasonRetiring)
		seen.sees(key.Status.KeyID)
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		expectStatus(old, http.StatusUnauthorized)
		expectStatus(plaintextOf(ctx, key), http.StatusOK)
		awaitReason(ctx, key, v1alpha1.ConditionRotated, v1alpha1.ReasonUpToDate)
		Eventually(func() *corev1.Secret { return previousSecretOf(ctx, key) }).Should(BeNil())
		Expect(secretOf(ctx, key).ResourceVersion).To(Equal(secret.ResourceVersion), "retirement changes nothing that consumers watch")
		Eventually(audited).WithArguments(key).Should(Equal([]string{"Minted", "Published", "Minted", "Published", "Rotated", "Retired"}))
		Eventually(eventReasons).WithArguments(ctx, key).Should(ContainElement(v1alpha1.EventRotated))
	})

	It("says who is cut off when the longest overlap has passed", func(ctx SpecContext) {
		begin(ctx)
		key := newTenant(ctx).mint(ctx, "overdue", overlapping(0, time.Hour, 8*time.Second))
		old, oldID := rotate(ctx, key)
		seen.sees(oldID)
		expectStatus(old, http.StatusOK)
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		expectStatus(old, http.StatusUnauthorized)
		Eventually(eventNotes).WithArguments(ctx, key, v1alpha1.EventRetiredInUse).Should(ContainElement(And(
			ContainSubstring(oldID), ContainSubstring("1 requests"), ContainSubstring("original from 192.0.2.7"))))
	})

	It("waits as long as it is not known who uses the key that was replaced", func(ctx SpecContext) {
		seen.coverage = func() usage.Coverage { return usage.Coverage{} }
		begin(ctx)
		key := newTenant(ctx).mint(ctx, "unheard", overlapping(0, 0, time.Hour))
		old, _ := rotate(ctx, key)
		seen.sees(key.Status.KeyID)
		Eventually(func() string {
			return awaitReason(ctx, key, v1alpha1.ConditionRotated, v1alpha1.ReasonRetiring).Message
		}).Should(ContainSubstring("an auth server has not reported"))
		Consistently(func() int { return replicas[0].status(old) }, 2*time.Second).Should(Equal(http.StatusOK))
	})

	It("ends what was replaced at once when it is told to", func(ctx SpecContext) {
		begin(ctx)
		key := newTenant(ctx).mint(ctx, "ordered", overlapping(time.Hour, time.Hour, time.Hour))
		first, _ := rotate(ctx, key)
		second, _ := rotate(ctx, key)
		Expect(key.Status.Versions).To(HaveLen(3))
		Expect(previousSecretOf(ctx, key).Data).To(HaveKeyWithValue(v1alpha1.SecretKeyAPIKey, second))
		for _, text := range [][]byte{first, second} {
			expectStatus(text, http.StatusOK)
		}
		change(ctx, key, revokingReplaced)
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		for _, text := range [][]byte{first, second} {
			expectStatus(text, http.StatusUnauthorized)
		}
		expectStatus(plaintextOf(ctx, key), http.StatusOK)
	})

	It("is undone as long as the key before it works", func(ctx SpecContext) {
		begin(ctx)
		key := newTenant(ctx).mint(ctx, "undone", overlapping(time.Hour, time.Hour, time.Hour))
		old, oldID := rotate(ctx, key)
		newer, newerID := plaintextOf(ctx, key), key.Status.KeyID
		change(ctx, key, pinning(oldID))
		awaitReplaced(ctx, key, newerID)
		Expect(key.Status.KeyID).To(Equal(oldID))
		Eventually(func() map[string][]byte { return secretOf(ctx, key).Data }).Should(And(
			HaveKeyWithValue(v1alpha1.SecretKeyAPIKey, old), HaveKeyWithValue("HEXCOVERY_API_KEY", old)))
		Eventually(func() map[string][]byte { return previousSecretOf(ctx, key).Data }).Should(HaveKeyWithValue(v1alpha1.SecretKeyAPIKey, newer))
		expectStatus(old, http.StatusOK)
		expectStatus(newer, http.StatusOK)

		change(ctx, key, revokingReplaced)
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		expectStatus(newer, http.StatusUnauthorized)
		expectStatus(old, http.StatusOK)
		Eventually(audited).WithArguments(key).Should(ContainElement("RotationUndone"))

		By("pinning a key that is no more")
		change(ctx, key, pinning(newerID))
		Expect(awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonActiveKeyUnavailable).Message).To(ContainSubstring("Set another key of status.versions"))
		expectStatus(old, http.StatusOK)
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.ActiveKeyID, k.Spec.Rotation.RotateAfter = "", nil })
		awaitReady(ctx, key)
		Expect(key.Status.KeyID).To(Equal(oldID))
		Expect(key.Status.Versions).To(HaveLen(1))
	})

	It("waits as long as a key is pinned, but not with its end", func(ctx SpecContext) {
		begin(ctx)
		key := newTenant(ctx).mint(ctx, "pinned", overlapping(time.Hour, time.Hour, time.Hour))
		id := key.Status.KeyID
		change(ctx, key, pinning(id))
		change(ctx, key, rotating)
		awaitReady(ctx, key)
		Expect(key.Status.KeyID).To(Equal(id))
		Expect(key.Status.NextRotationTime).To(BeNil())

		change(ctx, key, revoking(id))
		awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonActiveKeyUnavailable)
		Expect(key.Status.KeyID).NotTo(Equal(id))
		expectStatus(plaintextOf(ctx, key), http.StatusOK)
	})

	It("goes back and ends the newer key in one change", func(ctx SpecContext) {
		begin(ctx)
		key := newTenant(ctx).mint(ctx, "reverted", overlapping(time.Hour, time.Hour, time.Hour))
		old, oldID := rotate(ctx, key)
		newer := plaintextOf(ctx, key)
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.ActiveKeyID, k.Spec.RevokedKeyIDs = oldID, []string{k.Status.KeyID} })
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		Expect(key.Status.KeyID).To(Equal(oldID))
		expectStatus(old, http.StatusOK)
		expectStatus(newer, http.StatusUnauthorized)
		Expect(plaintextOf(ctx, key)).To(Equal(old))
		Expect(eventReasons(ctx, key)).NotTo(ContainElement(v1alpha1.EventSecretDrifted))
	})

	It("replaces a key that is revoked, without overlap and for good", func(ctx SpecContext) {
		begin(ctx)
		key := newTenant(ctx).mint(ctx, "leaked", overlapping(time.Hour, time.Hour, time.Hour))
		old, oldID := plaintextOf(ctx, key), key.Status.KeyID
		change(ctx, key, revoking(oldID))
		awaitReplaced(ctx, key, oldID)
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		Expect(key.Status.Versions[0].MintReason).To(Equal(v1alpha1.MintRevoked))
		expectStatus(old, http.StatusUnauthorized)
		expectStatus(plaintextOf(ctx, key), http.StatusOK)
		Expect(previousSecretOf(ctx, key)).To(BeNil())
		Expect(expectLine(key, audit.Revoked, audit.User(key)).KeyID).To(Equal(oldID))

		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.RevokedKeyIDs = nil })
		awaitReady(ctx, key)
		expectStatus(old, http.StatusUnauthorized)
		Expect(key.Status.Versions).To(HaveLen(1))
	})

	It("ends a key that was replaced although the Secret cannot be written", func(ctx SpecContext) {
		begin(ctx)
		key := newTenant(ctx).mint(ctx, "blocked", overlapping(time.Hour, time.Hour, time.Hour))
		old, _ := rotate(ctx, key)
		change(ctx, key, func(k *v1alpha1.APIKey) {
			k.Spec.Secret.Data = map[string]v1alpha1.DataTemplate{"broken": "$(TYPO)"}
		})
		awaitReason(ctx, key, v1alpha1.ConditionPublished, v1alpha1.ReasonInvalidTemplate)
		change(ctx, key, revokingReplaced)
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		expectStatus(old, http.StatusUnauthorized)
		expectStatus(plaintextOf(ctx, key), http.StatusOK)
	})

	It("keeps both keys when only the previous one's Secret is edited, which goes", func(ctx SpecContext) {
		begin(ctx)
		key := newTenant(ctx).mint(ctx, "touched", overlapping(time.Hour, time.Hour, time.Hour))
		old, _ := rotate(ctx, key)
		newer := plaintextOf(ctx, key)
		change(ctx, previousSecretOf(ctx, key), func(s *corev1.Secret) { s.Data[v1alpha1.SecretKeyAPIKey] = []byte("mine") })
		Eventually(func() *corev1.Secret { return previousSecretOf(ctx, key) }).Should(BeNil())
		expectStatus(old, http.StatusOK)
		expectStatus(newer, http.StatusOK)
		Expect(bytes.Equal(plaintextOf(ctx, key), newer)).To(BeTrue())
	})

	It("rotates where the previous key's Secret cannot be, and cannot be undone", func(ctx SpecContext) {
		begin(ctx)
		key := newTenant(ctx).mint(ctx, "taken", overlapping(time.Hour, time.Hour, time.Hour))
		foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.SecretName() + v1alpha1.PreviousSuffix}, StringData: map[string]string{"mine": "yes"}}
		Expect(admin.Create(ctx, foreign)).To(Succeed())
		old, oldID := rotate(ctx, key)
		expectStatus(old, http.StatusOK)
		Expect(previousSecretOf(ctx, key).Data).To(Equal(map[string][]byte{"mine": []byte("yes")}))
		change(ctx, key, pinning(oldID))
		Expect(awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonActiveKeyUnavailable).Message).To(ContainSubstring("in no Secret"))
	})

	It("gives up a successor when the current key is pinned", func(ctx SpecContext) {
		silenced := &silencer{}
		startAuthServer(ctx, "rotation-c", silenced.wrap)
		begin(ctx)
		key := newTenant(ctx).mint(ctx, "halted", overlapping(time.Hour, time.Hour, time.Hour))
		current, id := plaintextOf(ctx, key), key.Status.KeyID
		silenced.silent.Store(true)
		change(ctx, key, rotating)
		awaitVersions(ctx, key, v1alpha1.VersionActive, v1alpha1.VersionPending)
		change(ctx, key, pinning(id))
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			g.Expect(key.Status.Versions).To(HaveLen(2))
			g.Expect(key.Status.Versions[1].RevocationReason).To(Equal(v1alpha1.RevokedAbandoned))
		}).Should(Succeed())
		silenced.silent.Store(false)
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		Expect(key.Status.KeyID).To(Equal(id))
		Expect(plaintextOf(ctx, key)).To(Equal(current))
		expectStatus(current, http.StatusOK)
		Expect(eventReasons(ctx, key)).NotTo(ContainElement(v1alpha1.EventRotated))
	})

	DescribeTable("revokes both keys of a Secret that is edited by hand meanwhile", func(ctx SpecContext, edit func(s *corev1.Secret, old []byte)) {
		begin(ctx)
		key := newTenant(ctx).mint(ctx, "touched", overlapping(time.Hour, time.Hour, time.Hour))
		old, _ := rotate(ctx, key)
		newer, newerID := plaintextOf(ctx, key), key.Status.KeyID
		change(ctx, secretOf(ctx, key), func(s *corev1.Secret) { edit(s, old) })
		awaitReplaced(ctx, key, newerID)
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		expectStatus(old, http.StatusUnauthorized)
		expectStatus(newer, http.StatusUnauthorized)
		expectStatus(plaintextOf(ctx, key), http.StatusOK)
		Eventually(func() *corev1.Secret { return previousSecretOf(ctx, key) }).Should(BeNil())
	},
		Entry("with something else in its place", func(s *corev1.Secret, _ []byte) { s.Data[v1alpha1.SecretKeyAPIKey] = []byte("mine") }),
		Entry("with the previous one in its place", func(s *corev1.Secret, old []byte) { s.Data[v1alpha1.SecretKeyAPIKey] = old }),
		Entry("with the previous one in its place, and marks that agree", func(s *corev1.Secret, old []byte) {
			s.Data[v1alpha1.SecretKeyAPIKey] = old
			redacted := maps.Clone(s.Data)
			keys.RedactSecretData(redacted)
			s.Annotations[v1alpha1.AnnotationDataDigest] = keys.DataDigest(redacted)
		}),
	)

	It("does nothing when the same manifest is applied again", func(ctx SpecContext) {
		begin(ctx)
		key := newTenant(ctx).mint(ctx, "steady", overlapping(0, 0, time.Hour), func(k *v1alpha1.APIKey) {
			k.Spec.Rotation.RotateAfter = ptr.To(metav1.NewTime(time.Now().Add(-time.Minute)))
		})
		id := key.Status.KeyID
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Description = "other" })
		awaitReady(ctx, key)
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Rotation.RotateAfter = nil })
		awaitReady(ctx, key)
		Expect(key.Status.KeyID).To(Equal(id))
		Expect(key.Status.Versions).To(HaveLen(1))
	})

	It("is stopped by the bound on versions, and goes on when there is room", func(ctx SpecContext) {
		begin(ctx)
		key := newTenant(ctx).mint(ctx, "eager", overlapping(time.Hour, time.Hour, time.Hour))
		for range 13 {
			rotate(ctx, key)
		}
		change(ctx, key, rotating)
		awaitReason(ctx, key, v1alpha1.ConditionRotated, v1alpha1.ReasonTooManyKeys)
		Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
		id := key.Status.KeyID
		change(ctx, key, revokingReplaced)
		awaitReplaced(ctx, key, id)
	})

	It("comes when the key has the age of its interval", func(ctx SpecContext) {
		stop := startManager(ctx, account(ctx, managerAccount))
		key := newTenant(ctx).mint(ctx, "yearly", overlapping(time.Hour, time.Hour, 2*time.Hour), func(k *v1alpha1.APIKey) {
			k.Spec.Rotation.Interval = duration(48 * time.Hour)
		})
		id := key.Status.KeyID
		Expect(key.Status.NextRotationTime.Sub(key.Status.Versions[0].ActivationTime.Time)).To(And(
			BeNumerically("<=", 48*time.Hour), BeNumerically(">=", 43*time.Hour)))
		stop()

		By("two days later")
		startManager(ctx, account(ctx, managerAccount), func(o *controllers.Options) {
			o.Usage, o.Clock = seen, laterClock{lead: 48 * time.Hour}
		})
		awaitReplaced(ctx, key, id)
		Expect(expectLine(key, audit.Rotated, audit.Manager(audit.CauseSchedule)).Reason).To(Equal("Interval"))
		Expect(time.Until(key.Status.NextRotationTime.Time)).To(BeNumerically(">", 90*time.Hour))
	})

	It("comes in time before the age that the organization permits", func(ctx SpecContext) {
		begin(ctx)
		t := newTenant(ctx)
		key := t.mint(ctx, "aging", overlapping(time.Hour, time.Hour, time.Hour))
		Expect(key.Status.NextRotationTime).To(BeNil())
		change(ctx, t.organization, func(o *v1alpha1.Organization) { o.Spec.MaxKeyAge = duration(24 * time.Hour) })
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			g.Expect(key.Status.NextRotationTime).NotTo(BeNil())
			g.Expect(key.Status.NextRotationTime.Sub(key.CreationTimestamp.Time)).To(And(BeNumerically("<=", 23*time.Hour), BeNumerically(">=", 20*time.Hour)))
		}).Should(Succeed())
	})
})
