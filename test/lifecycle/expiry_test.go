// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

var _ = Describe("The end of a key", func() {
	It("comes at the second at each auth server, while no manager runs", func(ctx SpecContext) {
		replicas := []*authServer{startAuthServer(ctx, "expiry-a"), startAuthServer(ctx, "expiry-b")}
		stop := startManager(ctx, account(ctx, managerAccount))
		key := newTenant(ctx).mint(ctx, "ending")
		plaintext := plaintextOf(ctx, key)
		stop()

		// Whole seconds, as they are stored.
		end := time.Now().Add(5 * time.Second).Truncate(time.Second)
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.ExpirationTime = ptr.To(metav1.NewTime(end)) })
		for _, replica := range replicas {
			if status := replica.status(plaintext); time.Now().Before(end) {
				Expect(status).To(Equal(http.StatusOK))
			}
		}
		// When each was asked last while it accepted the key, and had first refused it. How
		// long an answer took is the machine's matter.
		accepted, refused := map[string]time.Time{}, map[string]time.Time{}
		Eventually(func() int {
			for _, replica := range replicas {
				if _, done := refused[replica.name]; done {
					continue
				}
				asked := time.Now()
				if replica.status(plaintext) == http.StatusOK {
					accepted[replica.name] = asked
				} else {
					refused[replica.name] = time.Now()
				}
			}
			return len(refused)
		}).Should(Equal(len(replicas)))
		for _, replica := range replicas {
			Expect(accepted[replica.name]).To(BeTemporally("<", end), "accepted after its end by %s", replica.name)
			Expect(refused[replica.name]).To(BeTemporally(">=", end), "refused before its end by %s", replica.name)
			Expect(replica.reason(plaintext)).To(Equal("expired_key"))
		}
	})

	It("is told of beforehand, once", func(ctx SpecContext) {
		startAuthServer(ctx, "expiry-c")
		stop := startManager(ctx, account(ctx, managerAccount))
		const week = 7 * 24 * time.Hour
		key := newTenant(ctx).mint(ctx, "warned", func(k *v1alpha1.APIKey) { k.Spec.TTL = &metav1.Duration{Duration: week + time.Hour} })
		Expect(key.Status.ExpirationTime.Time).To(Equal(key.CreationTimestamp.Add(week + time.Hour)))
		Expect(meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionExpiringSoon)).To(BeNil())
		// From here on the week begins in a few seconds.
		change(ctx, key, func(k *v1alpha1.APIKey) {
			k.Spec.TTL = &metav1.Duration{Duration: week + (time.Since(key.CreationTimestamp.Time) + 4*time.Second).Truncate(time.Second)}
		})
		awaitReason(ctx, key, v1alpha1.ConditionExpiringSoon, v1alpha1.ReasonWithin7Days)
		Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
		Eventually(warnings).WithArguments(ctx, key).Should(ConsistOf(ContainSubstring("within 7 days. To have it work longer, set a later spec.ttl")))

		stop()
		startManager(ctx, account(ctx, managerAccount))
		other := newTenant(ctx).mint(ctx, "after")
		Expect(warnings(ctx, other)).To(BeEmpty())
		Expect(warnings(ctx, key)).To(HaveLen(1))

		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.TTL = &metav1.Duration{Duration: 30 * 24 * time.Hour} })
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
			g.Expect(meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionExpiringSoon)).To(BeNil())
			g.Expect(key.Status.ExpirationTime.Time).To(Equal(key.CreationTimestamp.Add(30 * 24 * time.Hour)))
		}).Should(Succeed())
	})
})

// reason is the stable reason that a refusal gives.
func (s *authServer) reason(key []byte) string {
	GinkgoHelper()
	request, err := http.NewRequest(http.MethodGet, s.url+"/auth/original", nil)
	Expect(err).NotTo(HaveOccurred())
	request.Header.Set("X-Original-Method", http.MethodPost)
	request.Header.Set("X-Original-URI", "/api/v1/dsl")
	request.Header.Set("X-API-Key", string(key))
	response, err := http.DefaultClient.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(response.Body.Close()).To(Succeed()) }()
	var problem struct {
		Reason string `json:"reason"`
	}
	Expect(json.NewDecoder(response.Body).Decode(&problem)).To(Succeed())
	return problem.Reason
}

// warnings are the notes of the Warning events of an APIKey, each as often as it was
// given.
func warnings(ctx SpecContext, key *v1alpha1.APIKey) []string {
	GinkgoHelper()
	list := &eventsv1.EventList{}
	Expect(admin.List(ctx, list, client.InNamespace(key.Namespace))).To(Succeed())
	var notes []string
	for _, event := range list.Items {
		if event.Regarding.UID != key.UID || event.Type != "Warning" {
			continue
		}
		count := int32(1)
		if event.Series != nil {
			count = event.Series.Count
		}
		for range count {
			notes = append(notes, strings.TrimSpace(event.Note))
		}
	}
	return notes
}
