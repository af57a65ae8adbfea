// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// fillSecret sets one entry of the Secret of an APIKey as anybody might who may.
func fillSecret(ctx context.Context, key *v1alpha1.APIKey, name, value string) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.SecretName()}}
	patch := fmt.Sprintf(`{"data":{%q:%q}}`, name, base64.StdEncoding.EncodeToString([]byte(value)))
	return admin.Patch(ctx, secret, client.RawPatch(types.MergePatchType, []byte(patch)))
}

var _ = Describe("A Secret that others write", func() {
	var (
		server      *authServer
		stopManager func()
	)

	BeforeEach(func(ctx SpecContext) {
		server = startAuthServer(ctx, "one")
		stopManager = startManager(ctx, account(ctx, managerAccount))
	})

	It("keeps its key when an entry is added, and the entry", func(ctx SpecContext) {
		key := newTenant(ctx).mint(ctx, "prod-agent")
		plaintext := plaintextOf(ctx, key)
		Expect(fillSecret(ctx, key, "ca.crt", "theirs")).To(Succeed())
		Consistently(func(g Gomega) {
			g.Expect(server.status(plaintext)).To(Equal(http.StatusOK))
			g.Expect(string(secretOf(ctx, key).Data["ca.crt"])).To(Equal("theirs"))
		}, 2*time.Second).Should(Succeed())
		Expect(auditOf(key)).To(ConsistOf("Minted "+key.Status.KeyID, "Published "+key.Status.KeyID))
	})

	It("is put right, with the same key, when another entry than api-key is edited", func(ctx SpecContext) {
		key := newTenant(ctx).mint(ctx, "prod-agent")
		plaintext := plaintextOf(ctx, key)
		for range 3 {
			Expect(fillSecret(ctx, key, "HEXCOVERY_API_KEY", "theirs")).To(Succeed())
			Eventually(func() bool { return bytes.Equal(secretOf(ctx, key).Data["HEXCOVERY_API_KEY"], plaintext) }).Should(BeTrue())
		}
		Expect(server.status(plaintext)).To(Equal(http.StatusOK))
		Expect(auditOf(key)).To(ConsistOf("Minted "+key.Status.KeyID, "Published "+key.Status.KeyID))
		Eventually(eventReasons).WithArguments(ctx, key).Should(ContainElement(v1alpha1.EventSecretRepaired))
	})

	It("is a conflict when it is of a type that others fill, whoever owns it", func(ctx SpecContext) {
		tenant := newTenant(ctx)
		key := tenant.key("planted", func(k *v1alpha1.APIKey) { k.Spec.Suspend = true })
		Expect(admin.Create(ctx, key)).To(Succeed())
		awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonSuspended)
		Eventually(func() error {
			return admin.Get(ctx, client.ObjectKey{Namespace: tenant.namespace, Name: "default"}, &corev1.ServiceAccount{})
		}).Should(Succeed())
		planted := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: key.Namespace, Name: key.SecretName(), Labels: map[string]string{v1alpha1.LabelAPIKey: key.Name},
				Annotations:     map[string]string{corev1.ServiceAccountNameKey: "default"},
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(key, v1alpha1.GroupVersion.WithKind("APIKey"))},
			},
			Type: corev1.SecretTypeServiceAccountToken,
		}
		Expect(admin.Create(ctx, planted)).To(Succeed())
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Suspend = false })
		condition := awaitReason(ctx, key, v1alpha1.ConditionPublished, v1alpha1.ReasonSecretConflict)
		Expect(condition.Message).To(ContainSubstring("not of type Opaque"))
		Consistently(func() []string { return auditOf(key) }, 2*time.Second).Should(HaveLen(len(auditOf(key))))
		Expect(auditOf(key)).NotTo(ContainElement(HavePrefix("Minted")))

		Expect(admin.Delete(ctx, planted)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
		}).WithTimeout(30*time.Second).Should(Succeed(), "it is looked for every 15 seconds")
	}, NodeTimeout(time.Minute))

	It("is told to be revoked once, however often its APIKey is written while that goes", func(ctx SpecContext) {
		tenant := newTenant(ctx)
		writing, stop := context.WithCancel(ctx)
		defer stop()
		var done sync.WaitGroup
		var keys []*v1alpha1.APIKey
		for i := range 8 {
			key := tenant.mint(ctx, fmt.Sprint("written-", i))
			keys = append(keys, key)
			name := client.ObjectKeyFromObject(key)
			done.Go(func() {
				for n := 0; writing.Err() == nil; n++ {
					patch := fmt.Sprintf(`{"metadata":{"labels":{"n":"%d"}}}`, n)
					// In the end there is none to be written.
					_ = admin.Patch(writing, &v1alpha1.APIKey{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}},
						client.RawPatch(types.MergePatchType, []byte(patch)))
				}
			})
		}
		for _, key := range keys {
			Expect(admin.Delete(ctx, key)).To(Succeed())
		}
		for _, key := range keys {
			awaitGone(ctx, key)
			Expect(auditOf(key)).To(ConsistOf("Minted "+key.Status.KeyID, "Published "+key.Status.KeyID, "Revoked "+key.Status.KeyID))
		}
		stop()
		done.Wait()
	})

	It("costs some keys and some lines, however fast it is written, also by a manager that was restarted", func(ctx SpecContext) {
		const storm = 8 * time.Second
		key := newTenant(ctx).mint(ctx, "stormy")
		var taken [][]byte
		writes := 0
		for end := time.Now().Add(storm); time.Now().Before(end); {
			secret := &corev1.Secret{}
			if err := admin.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: key.SecretName()}, secret); err == nil {
				if shown := secret.Data[v1alpha1.SecretKeyAPIKey]; strings.HasPrefix(string(shown), "hxk_") {
					taken = append(taken, slices.Clone(shown))
				}
			}
			if err := fillSecret(ctx, key, v1alpha1.SecretKeyAPIKey, fmt.Sprint("theirs ", writes)); err == nil {
				writes++
			}
		}
		// The writer goes on until a key that came in its last moment is lost, too.
		var condition metav1.Condition
		Eventually(func(g Gomega) {
			_ = fillSecret(ctx, key, v1alpha1.SecretKeyAPIKey, "theirs")
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			condition = *meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionPublished)
			g.Expect(condition.Reason).To(Equal(v1alpha1.ReasonDriftBackOff))
		}).Should(Succeed())
		lines := auditOf(key)
		mints := 0
		for _, line := range lines {
			if strings.HasPrefix(line, "Minted") || strings.HasPrefix(line, "DriftRepaired") {
				mints++
			}
		}
		GinkgoWriter.Printf("%d writes in %s: %d keys, %d lines of audit\n", writes, storm, mints, len(lines))
		AddReportEntry(fmt.Sprintf("%d writes in %s: %d keys, %d lines of audit", writes, storm, mints, len(lines)))
		Expect(writes).To(BeNumerically(">", 5*mints))
		Expect(mints).To(BeNumerically("<=", 8))
		// Of each key: that it was minted, published and revoked, and of its APIKey one more.
		Expect(len(lines)).To(BeNumerically("<=", 4*mints+1), "%v", lines)
		Expect(condition.Message).To(ContainSubstring("The next key is minted at "))
		Eventually(eventReasons).WithArguments(ctx, key).Should(ContainElement(v1alpha1.ReasonDriftBackOff))
		for _, one := range taken {
			Eventually(server.status).WithArguments(one).Should(Equal(http.StatusUnauthorized), "while there is none, nothing that was revoked is accepted")
		}

		drift := key.Status.Drift.DeepCopy()
		stopManager()
		startManager(ctx, account(ctx, managerAccount))
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
		}).WithTimeout(time.Minute).Should(Succeed(), "it goes on by itself")
		Expect(key.Status.Drift.Count).To(Equal(drift.Count))
		Expect(key.Status.Versions[len(key.Status.Versions)-1].RegistrationTime.Sub(drift.LastTime.Time)).To(
			BeNumerically(">=", time.Second<<(drift.Count-2)-time.Second), "a restart does not begin anew: %+v", drift)
		Expect(server.status(plaintextOf(ctx, key))).To(Equal(http.StatusOK))
	}, NodeTimeout(3*time.Minute))
})
