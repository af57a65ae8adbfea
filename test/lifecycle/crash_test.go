// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

var errKilled = errors.New("this manager was killed")

// guillotine kills a manager after its n-th write in a namespace: the API server
// has made the write, and nobody hears the answer. From then on not one byte goes
// out, so what the process still does is as if it did not.
type guillotine struct {
	next      http.RoundTripper
	namespace string
	after     int
	fell      chan struct{}

	mu     sync.Mutex
	writes int
	dead   bool
}

func (g *guillotine) RoundTrip(request *http.Request) (*http.Response, error) {
	g.mu.Lock()
	counted := g.counts(request)
	if g.dead || counted && g.writes == g.after {
		// The last counts for another write that was under way at the same time.
		g.mu.Unlock()
		return nil, errKilled
	}
	if counted {
		g.writes++
	}
	last := counted && g.writes == g.after
	g.mu.Unlock()

	response, err := g.next.RoundTrip(request)
	if !last {
		return response, err
	}
	g.mu.Lock()
	g.dead = true
	g.mu.Unlock()
	if err == nil {
		err = response.Body.Close()
	}
	close(g.fell)
	return nil, errors.Join(errKilled, err)
}

// counts reports whether a request is a write that a key's life depends on:
// Events come when they come.
func (g *guillotine) counts(request *http.Request) bool {
	return request.Method != http.MethodGet && strings.Contains(request.URL.Path, "/namespaces/"+g.namespace+"/") &&
		!strings.HasSuffix(request.URL.Path, "/events")
}

// startDoomedManager runs a manager that dies after its n-th write in namespace.
func startDoomedManager(ctx SpecContext, namespace string, after int) *guillotine {
	GinkgoHelper()
	g := &guillotine{namespace: namespace, after: after, fell: make(chan struct{})}
	config := rest.CopyConfig(account(ctx, managerAccount))
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		g.next = next
		return g
	})
	stop := startManager(ctx, config)
	go func() {
		defer GinkgoRecover()
		<-g.fell
		stop()
	}()
	return g
}

var _ = Describe("A manager that is killed", func() {
	var replicas []*authServer

	BeforeEach(func(ctx SpecContext) {
		replicas = []*authServer{startAuthServer(ctx, "g"), startAuthServer(ctx, "h")}
	})

	// expectOneKey expects that the Secret holds the one key that is registered,
	// that it works, and that nothing else does.
	expectOneKey := func(ctx SpecContext, key *v1alpha1.APIKey) {
		GinkgoHelper()
		awaitReady(ctx, key)
		awaitVersions(ctx, key, v1alpha1.VersionActive)
		secret := secretOf(ctx, key)
		Expect(secret.Annotations[v1alpha1.AnnotationKeyID]).To(Equal(key.Status.Versions[0].ID))
		for _, replica := range replicas {
			Expect(replica.status(secret.Data["api-key"])).To(Equal(http.StatusOK))
			Eventually(replica.indexed).Should(Equal(registeredHashes(ctx)), "hashes in the index of %s", replica.name)
		}
	}

	DescribeTable("in the middle of a mint leaves one working key to the next manager",
		func(ctx SpecContext, after int) {
			t := newTenant(ctx)
			doomed := startDoomedManager(ctx, t.namespace, after)
			key := t.key("survivor")
			Expect(admin.Create(ctx, key)).To(Succeed())
			Eventually(doomed.fell).Should(BeClosed(), "the mint made fewer writes")
			startManager(ctx, account(ctx, managerAccount))
			expectOneKey(ctx, key)
		},
		Entry("after the finalizer", 1),
		Entry("after the hash was registered", 2),
		Entry("after the Secret was written", 3),
		Entry("after the status was written", 4),
	)

	DescribeTable("in the middle of a rotation leaves the old key working, and the new one to the next manager",
		func(ctx SpecContext, after int, abandons bool) {
			t := newTenant(ctx)
			stop := startManager(ctx, account(ctx, managerAccount))
			key := t.mint(ctx, "rotated", overlapping(time.Hour, time.Hour, time.Hour))
			old, oldID := plaintextOf(ctx, key), key.Status.KeyID
			stop()
			earlier := len(writesFor(key))
			doomed := startDoomedManager(ctx, t.namespace, after)
			change(ctx, key, rotating)
			Eventually(doomed.fell).Should(BeClosed(), "the rotation made fewer writes")
			startManager(ctx, account(ctx, managerAccount))
			Eventually(func(g Gomega) {
				for _, replica := range replicas {
					Expect(replica.status(old)).To(Equal(http.StatusOK)) // at no time anything else
				}
				g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
				g.Expect(key.Status.KeyID).NotTo(Equal(oldID))
			}).Should(Succeed())
			awaitVersions(ctx, key, v1alpha1.VersionRetiring, v1alpha1.VersionActive)
			secret := secretOf(ctx, key)
			Expect(previousSecretOf(ctx, key).Data).To(HaveKeyWithValue(v1alpha1.SecretKeyAPIKey, old))
			for _, replica := range replicas {
				Expect(replica.status(old)).To(Equal(http.StatusOK))
				Expect(replica.status(secret.Data[v1alpha1.SecretKeyAPIKey])).To(Equal(http.StatusOK))
			}
			if abandons {
				// Before the hash whose key is lost is given up, the Secret is written: a
				// manager that comes back could otherwise still put that key there.
				Expect(writesFor(key)[earlier+1:][:2]).To(Equal([]string{"update secrets", "patch apikeys/status"}))
				Expect(key.Status.Versions[1].MintReason).To(Equal(v1alpha1.MintRotateAfter))
			}
		},
		Entry("after the hash was registered", 1, true),
		Entry("after the Secret was written", 2, false),
		Entry("after the status was written", 3, false),
	)

	It("and comes back puts no key into the Secret that was given up meanwhile, but another", func(ctx SpecContext) {
		silenced := &silencer{}
		startAuthServer(ctx, "late", silenced.wrap)
		startManager(ctx, account(ctx, managerAccount))
		key := newTenant(ctx).mint(ctx, "given-up", overlapping(time.Hour, time.Hour, time.Hour))
		old := plaintextOf(ctx, key)
		silenced.silent.Store(true)
		DeferCleanup(func() { silenced.silent.Store(false) })
		change(ctx, key, rotating)
		awaitVersions(ctx, key, v1alpha1.VersionActive, v1alpha1.VersionPending)

		By("marking the Secret, as another manager does that has no key for the hash, and ends before it says so")
		givenUp := key.Status.Versions[1].ID
		change(ctx, secretOf(ctx, key), func(s *corev1.Secret) { s.Annotations[v1alpha1.AnnotationAbandonedKeyID] = givenUp })
		silenced.silent.Store(false)
		Eventually(func(g Gomega) {
			secret := secretOf(ctx, key)
			g.Expect(secret.Annotations[v1alpha1.AnnotationKeyID]).NotTo(Equal(givenUp))
			g.Expect(secret.Data[v1alpha1.SecretKeyAPIKey]).NotTo(Equal(old))
		}).Should(Succeed())
		awaitVersions(ctx, key, v1alpha1.VersionRetiring, v1alpha1.VersionActive)
		Expect(secretOf(ctx, key).Annotations[v1alpha1.AnnotationKeyID]).To(Equal(key.Status.KeyID))
		Expect(replicas[0].status(old)).To(Equal(http.StatusOK))
		Expect(replicas[0].status(plaintextOf(ctx, key))).To(Equal(http.StatusOK))
	})

	DescribeTable("in the middle of a repair leaves one working key to the next manager",
		func(ctx SpecContext, after int, touch func(SpecContext, *v1alpha1.APIKey)) {
			t := newTenant(ctx)
			stop := startManager(ctx, account(ctx, managerAccount))
			key := t.mint(ctx, "repaired")
			old, oldID := plaintextOf(ctx, key), key.Status.KeyID
			stop()
			doomed := startDoomedManager(ctx, t.namespace, after)
			touch(ctx, key)
			Eventually(doomed.fell).Should(BeClosed(), "the repair made fewer writes")
			startManager(ctx, account(ctx, managerAccount))
			awaitReplaced(ctx, key, oldID)
			expectOneKey(ctx, key)
			for _, replica := range replicas {
				Expect(replica.status(old)).To(Equal(http.StatusUnauthorized))
			}
		},
		Entry("of a deleted Secret, after the hash was registered", 1, deleteSecretOf),
		Entry("of a deleted Secret, after the Secret was written", 2, deleteSecretOf),
		Entry("of a deleted Secret, after the status was written", 3, deleteSecretOf),
		Entry("of an edited Secret, after the hash was registered", 1, editSecretOf),
		Entry("of an edited Secret, after the Secret was written", 2, editSecretOf),
		Entry("of an edited Secret, after the status was written", 3, editSecretOf),
	)

	DescribeTable("in the middle of a deletion leaves no key to the next manager",
		func(ctx SpecContext, after int) {
			t := newTenant(ctx)
			stop := startManager(ctx, account(ctx, managerAccount))
			key := t.mint(ctx, "doomed")
			secret := secretOf(ctx, key)
			stop()
			doomed := startDoomedManager(ctx, t.namespace, after)
			Expect(admin.Delete(ctx, key)).To(Succeed())
			Eventually(doomed.fell).Should(BeClosed(), "the deletion made fewer writes")
			startManager(ctx, account(ctx, managerAccount))
			awaitGone(ctx, key)
			Expect(apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(secret), &corev1.Secret{}))).To(BeTrue())
			for _, replica := range replicas {
				Expect(replica.status(secret.Data["api-key"])).To(Equal(http.StatusUnauthorized))
				Eventually(replica.indexed).Should(Equal(registeredHashes(ctx)))
			}
		},
		Entry("after the Secret was deleted", 1),
		Entry("after the finalizer was removed", 2),
	)
})

func deleteSecretOf(ctx SpecContext, key *v1alpha1.APIKey) {
	GinkgoHelper()
	Expect(admin.Delete(ctx, secretOf(ctx, key))).To(Succeed())
}

func editSecretOf(ctx SpecContext, key *v1alpha1.APIKey) {
	GinkgoHelper()
	change(ctx, secretOf(ctx, key), func(s *corev1.Secret) { s.Data["api-key"] = []byte("edited") })
}

// registeredHashes counts the hashes of every APIKey that is to be accepted.
func registeredHashes(ctx SpecContext) int {
	GinkgoHelper()
	list := &v1alpha1.APIKeyList{}
	Expect(admin.List(ctx, list)).To(Succeed())
	count := 0
	for i := range list.Items {
		if permitted(&list.Items[i]) {
			count += len(list.Items[i].Status.Versions)
		}
	}
	return count
}
