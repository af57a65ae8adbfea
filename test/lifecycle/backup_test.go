// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"maps"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// backup is what a tool has kept of an APIKey and its Secret.
type backup struct {
	tenant    *tenant
	key       *v1alpha1.APIKey
	secret    *corev1.Secret
	plaintext []byte
}

// backUp makes a key, and a backup of it.
func backUp(ctx context.Context, t *tenant) *backup {
	GinkgoHelper()
	key := t.mint(ctx, "kept")
	secret := secretOf(ctx, key)
	return &backup{tenant: t, key: key.DeepCopy(), secret: secret, plaintext: secret.Data[v1alpha1.SecretKeyAPIKey]}
}

// destroy deletes the APIKey, which revokes its key.
func (b *backup) destroy(ctx context.Context) {
	GinkgoHelper()
	Expect(admin.Delete(ctx, b.key.DeepCopy())).To(Succeed())
	awaitGone(ctx, b.key.DeepCopy())
	awaitGone(ctx, b.secret.DeepCopy())
}

// restored is what Velero makes of an object's metadata; see resetMetadata in its
// pkg/restore. What it says in status the API server drops.
func restored(meta metav1.ObjectMeta) metav1.ObjectMeta {
	labels := maps.Clone(meta.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels["velero.io/restore-name"] = "nightly"
	return metav1.ObjectMeta{
		Namespace: meta.Namespace, Name: meta.Name, Labels: labels, Annotations: meta.Annotations, Finalizers: meta.Finalizers,
	}
}

// restoreKey restores the APIKey.
func (b *backup) restoreKey(ctx context.Context, change ...func(*v1alpha1.APIKey)) *v1alpha1.APIKey {
	GinkgoHelper()
	key := &v1alpha1.APIKey{ObjectMeta: restored(b.key.ObjectMeta), Spec: b.key.Spec, Status: b.key.Status}
	for _, f := range change {
		f(key)
	}
	Expect(admin.Create(ctx, key)).To(Succeed())
	return key
}

// asRestored is the Secret as it is restored.
func (b *backup) asRestored(change ...func(*corev1.Secret)) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: restored(b.secret.ObjectMeta), Type: b.secret.Type, Data: maps.Clone(b.secret.Data)}
	for _, f := range change {
		f(secret)
	}
	return secret
}

func (b *backup) restoreSecret(ctx context.Context, change ...func(*corev1.Secret)) *corev1.Secret {
	GinkgoHelper()
	secret := b.asRestored(change...)
	Expect(admin.Create(ctx, secret)).To(Succeed())
	return secret
}

// owned is for a tool that keeps owners, which are no more.
func (b *backup) owned(secret *corev1.Secret) { secret.OwnerReferences = b.secret.OwnerReferences }

var _ = Describe("A backup", Ordered, func() {
	var (
		replicas []*authServer
		stop     func()
	)
	BeforeAll(func(ctx SpecContext) {
		replicas = []*authServer{startAuthServer(ctx, "backup-a"), startAuthServer(ctx, "backup-b")}
	})
	BeforeEach(func(ctx SpecContext) {
		stop = startManager(ctx, account(ctx, managerAccount))
	})
	expectDead := func(plaintext []byte) {
		GinkgoHelper()
		for _, replica := range replicas {
			Expect(replica.status(plaintext)).To(Equal(http.StatusUnauthorized), "at %s", replica.name)
		}
	}
	// expectAnew expects that the APIKey has a key of its own, in its own Secret, and that
	// the one from the backup is dead.
	expectAnew := func(ctx SpecContext, b *backup, key *v1alpha1.APIKey) {
		GinkgoHelper()
		awaitReplaced(ctx, key, b.key.Status.KeyID)
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		expectDead(b.plaintext)
		secret := secretOf(ctx, key)
		for _, replica := range replicas {
			Expect(replica.status(secret.Data[v1alpha1.SecretKeyAPIKey])).To(Equal(http.StatusOK))
		}
		Expect(metav1.IsControlledBy(secret, key)).To(BeTrue())
		Expect(secret.OwnerReferences).To(HaveLen(1))
		Expect(secret.Data).To(HaveLen(3))
		Expect(key.Status.UID).To(Equal(key.UID))
		Expect(key.Finalizers).To(ConsistOf(v1alpha1.Finalizer))
	}

	DescribeTable("brings about a new key, and the one that was revoked stays dead",
		func(ctx SpecContext, restore func(SpecContext, *backup) *v1alpha1.APIKey, events ...string) {
			b := backUp(ctx, newTenant(ctx))
			b.destroy(ctx)
			key := restore(ctx, b)
			expectAnew(ctx, b, key)
			for _, reason := range events {
				Eventually(eventReasons).WithArguments(ctx, key).Should(ContainElement(reason))
			}
			if len(events) == 0 {
				Expect(eventReasons(ctx, key)).NotTo(ContainElement(v1alpha1.EventRestoredMintedAnew))
			}
		},
		Entry("of the APIKey alone", func(ctx SpecContext, b *backup) *v1alpha1.APIKey { return b.restoreKey(ctx) }),
		Entry("of the APIKey alone, from git", func(ctx SpecContext, b *backup) *v1alpha1.APIKey {
			return b.restoreKey(ctx, func(k *v1alpha1.APIKey) { k.ObjectMeta = metav1.ObjectMeta{Namespace: k.Namespace, Name: k.Name} })
		}),
		Entry("of the Secret, and then the APIKey", func(ctx SpecContext, b *backup) *v1alpha1.APIKey {
			b.restoreSecret(ctx)
			return b.restoreKey(ctx)
		}, v1alpha1.EventRestoredMintedAnew),
		Entry("of the Secret with its former owner, and then the APIKey", func(ctx SpecContext, b *backup) *v1alpha1.APIKey {
			b.restoreSecret(ctx, b.owned)
			return b.restoreKey(ctx)
		}, v1alpha1.EventMinted),
		Entry("of the APIKey, and then the Secret where there is none", func(ctx SpecContext, b *backup) *v1alpha1.APIKey {
			key := b.restoreKey(ctx)
			awaitReady(ctx, key)
			Expect(admin.Create(ctx, b.asRestored())).To(MatchError(apierrors.IsAlreadyExists, "it is there"))
			return key
		}),
		Entry("of the APIKey, and then the Secret over the one that is there", func(ctx SpecContext, b *backup) *v1alpha1.APIKey {
			key := b.restoreKey(ctx)
			awaitReady(ctx, key)
			id := key.Status.KeyID
			Expect(admin.Update(ctx, b.asRestored())).To(Succeed())
			awaitReplaced(ctx, key, id)
			return key
		}, v1alpha1.EventSecretDrifted),
		Entry("of the APIKey, and then the Secret's data into the one that is there", func(ctx SpecContext, b *backup) *v1alpha1.APIKey {
			key := b.restoreKey(ctx)
			awaitReady(ctx, key)
			id := key.Status.KeyID
			change(ctx, secretOf(ctx, key), func(s *corev1.Secret) { s.Data = b.secret.Data })
			awaitReplaced(ctx, key, id)
			return key
		}, v1alpha1.EventSecretDrifted),
		Entry("into another namespace", func(ctx SpecContext, b *backup) *v1alpha1.APIKey {
			other := newTenant(ctx)
			b.restoreSecret(ctx, func(s *corev1.Secret) { s.Namespace = other.namespace })
			return b.restoreKey(ctx, func(k *v1alpha1.APIKey) {
				k.Namespace, k.Spec.OrganizationRef.Name = other.namespace, other.organization.Name
			})
		}, v1alpha1.EventRestoredMintedAnew),
	)

	It("of a status is refused by the API server, and by the auth servers where it is not", func(ctx SpecContext) {
		b := backUp(ctx, newTenant(ctx))
		b.destroy(ctx)
		stop()
		b.restoreSecret(ctx)
		key := b.restoreKey(ctx)
		withStatus := key.DeepCopy()
		withStatus.Status = b.key.Status
		Expect(admin.Status().Update(ctx, withStatus.DeepCopy())).To(MatchError(apierrors.IsForbidden, "only the manager may"))
		// The policy may be off, or the tool may do as the manager.
		Expect(clientOf(account(ctx, managerAccount)).Status().Update(ctx, withStatus)).To(Succeed())
		// The auth servers have seen that when they know a key that is made afterwards.
		stop = startManager(ctx, account(ctx, managerAccount))
		newTenant(ctx).mint(ctx, "after")
		expectDead(b.plaintext)
		expectAnew(ctx, b, key)
		Eventually(eventReasons).WithArguments(ctx, key).Should(ContainElement(v1alpha1.EventRestoredMintedAnew))
		Eventually(audited).WithArguments(key).Should(Equal([]string{"Minted", "Published"}))
	})

	It("of a status is refused by auth servers while no manager runs", func(ctx SpecContext) {
		b := backUp(ctx, newTenant(ctx))
		b.destroy(ctx)
		other := newTenant(ctx).mint(ctx, "beside")
		stop()
		key := b.restoreKey(ctx)
		key.Status = b.key.Status
		as := clientOf(account(ctx, managerAccount))
		Expect(as.Status().Update(ctx, key)).To(Succeed())
		Expect(key.Status.Versions).To(HaveLen(1))
		// A change of another APIKey that comes later, and is seen to be heeded.
		heeded := plaintextOf(ctx, other)
		change(ctx, other, func(k *v1alpha1.APIKey) { k.Spec.Suspend = true })
		for _, replica := range replicas {
			Eventually(replica.status).WithArguments(heeded).Should(Equal(http.StatusUnauthorized))
		}
		expectDead(b.plaintext)
	})

	It("of the Secret alone is a key that nothing accepts, until the APIKey is there", func(ctx SpecContext) {
		b := backUp(ctx, newTenant(ctx))
		b.destroy(ctx)
		secret := b.restoreSecret(ctx)
		newTenant(ctx).mint(ctx, "after")
		expectDead(b.plaintext)
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(secret), secret)).To(Succeed())
		Expect(secret.Data).To(Equal(b.secret.Data), "it is nobody's, and is left as it is")
		key := b.tenant.key("kept")
		Expect(admin.Create(ctx, key)).To(Succeed())
		expectAnew(ctx, b, key)
		Expect(secretOf(ctx, key).Labels).To(Equal(map[string]string{v1alpha1.LabelAPIKey: "kept"}))
	})

	It("of the Secret alone, with its former owner, is collected by Kubernetes", func(ctx SpecContext) {
		b := backUp(ctx, newTenant(ctx))
		b.destroy(ctx)
		secret := b.restoreSecret(ctx, b.owned)
		expectDead(b.plaintext)
		awaitGone(ctx, secret)
	})

	It("of the Secret, while the APIKey lives and no manager sees it, is taken for a change by hand", func(ctx SpecContext) {
		b := backUp(ctx, newTenant(ctx))
		stop()
		Expect(admin.Delete(ctx, b.secret.DeepCopy())).To(Succeed())
		b.restoreSecret(ctx)
		startManager(ctx, account(ctx, managerAccount))
		key := b.key.DeepCopy()
		expectAnew(ctx, b, key)
		Eventually(eventReasons).WithArguments(ctx, key).Should(ContainElement(v1alpha1.EventSecretDrifted))
	})

	It("without the Organization waits for it, and takes the id that it comes with", func(ctx SpecContext) {
		b := backUp(ctx, newTenant(ctx))
		b.destroy(ctx)
		Expect(admin.Delete(ctx, b.tenant.organization.DeepCopy())).To(Succeed())
		awaitGone(ctx, b.tenant.organization.DeepCopy())
		secret := b.restoreSecret(ctx)
		key := b.restoreKey(ctx)
		awaitReason(ctx, key, v1alpha1.ConditionPermitted, v1alpha1.ReasonOrganizationNotFound)
		Expect(key.Status.Versions).To(BeEmpty())
		expectDead(b.plaintext)
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(secret), secret)).To(Succeed())
		Expect(secret.Data).To(Equal(b.secret.Data))

		b.tenant.organization.ResourceVersion, b.tenant.organization.Spec.ID = "", "another-"+b.tenant.namespace
		Expect(admin.Create(ctx, b.tenant.organization)).To(Succeed())
		expectAnew(ctx, b, key)
		Expect(key.Status.OrganizationID).To(Equal(b.tenant.organization.Spec.ID))
	})

	DescribeTable("of a Secret that is not as the manager wrote it is left alone, and said what to do with",
		func(ctx SpecContext, advice string, spoil func(*corev1.Secret)) {
			b := backUp(ctx, newTenant(ctx))
			b.destroy(ctx)
			secret := b.restoreSecret(ctx, spoil)
			untouched := secret.DeepCopy()
			key := b.restoreKey(ctx)
			condition := awaitReason(ctx, key, v1alpha1.ConditionPublished, v1alpha1.ReasonSecretConflict)
			Expect(condition.Message).To(ContainSubstring(advice))
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(secret), secret)).To(Succeed())
			Expect(secret).To(Equal(untouched))
			expectDead(b.plaintext)
			Expect(admin.Delete(ctx, secret)).To(Succeed())
			Eventually(func(g Gomega) {
				g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
				g.Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
			}).WithTimeout(40 * time.Second).Should(Succeed())
			expectAnew(ctx, b, key)
		},
		Entry("because its labels were not kept", "Delete it, or create another APIKey", func(s *corev1.Secret) { s.Labels = nil }),
		Entry("because it was edited", "Delete it, and it is created anew", func(s *corev1.Secret) { s.Data["password"] = []byte("somebody's") }),
		Entry("because its annotations were not kept", "Delete it, and it is created anew", func(s *corev1.Secret) { s.Annotations = nil }),
	)

	It("that somebody forged lets in no key of theirs, and has the new one copied nowhere", func(ctx SpecContext) {
		t := newTenant(ctx)
		planted, err := keys.Mint()
		Expect(err).NotTo(HaveOccurred())
		data, err := planted.SecretData(nil, keys.Variables{OrganizationID: t.organization.Spec.ID})
		Expect(err).NotTo(HaveOccurred())
		redacted := maps.Clone(data)
		keys.RedactSecretData(redacted)
		Expect(admin.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: t.namespace, Name: "agent",
				Labels: map[string]string{v1alpha1.LabelAPIKey: "agent", "replicate": "true"},
				Annotations: map[string]string{
					v1alpha1.AnnotationKeyID: planted.Digest().KeyID(), v1alpha1.AnnotationDataDigest: keys.DataDigest(redacted),
					"reflector.example/to": "*",
				},
				Finalizers: []string{"example.com/mine"},
			},
			Data: data,
		})).To(Succeed())
		key := t.mint(ctx, "agent")
		expectDead(data[v1alpha1.SecretKeyAPIKey])
		secret := secretOf(ctx, key)
		Expect(secret.Data[v1alpha1.SecretKeyAPIKey]).NotTo(Equal(data[v1alpha1.SecretKeyAPIKey]))
		Expect(secret.Labels).To(Equal(map[string]string{v1alpha1.LabelAPIKey: "agent"}))
		Expect(secret.Annotations).NotTo(HaveKey("reflector.example/to"))
		Expect(secret.Finalizers).To(BeEmpty())
	})
})
