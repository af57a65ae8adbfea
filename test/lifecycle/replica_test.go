// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

var _ = Describe("An auth server", func() {
	It("writes its Lease before it reads, and reads the present", func(ctx SpecContext) {
		before := len(serverRequests())
		replica := startAuthServer(ctx, "m")
		// A watch counts in the audit log from its start.
		var joining []auditv1.Event
		Eventually(func() []auditv1.Event {
			joining = serverRequests()[before:]
			return joining
		}).Should(ContainElement(HaveField("ObjectRef.Resource", "apikeys")))
		firstRead := -1
		for i, e := range joining {
			if e.ObjectRef.Resource == "apikeys" || e.ObjectRef.Resource == "organizations" || e.ObjectRef.Resource == "namespaces" {
				firstRead = i
				break
			}
		}
		Expect(describe(joining[:firstRead])).To(Equal([]string{"get leases", "create leases"}))
		for _, e := range joining[firstRead:] {
			if e.Verb != "watch" {
				continue
			}
			query, err := url.Parse(e.RequestURI)
			Expect(err).NotTo(HaveOccurred())
			Expect(query.Query().Get("sendInitialEvents")).To(Equal("true"), e.RequestURI)
			Expect(query.Query().Get("resourceVersion")).To(BeEmpty(), "the first list of %s may be an old one", e.ObjectRef.Resource)
		}
		Expect(leaseOf(ctx, replica)).NotTo(BeNil())
	})

	It("takes its Lease with it when it stops", func(ctx SpecContext) {
		replica := startAuthServer(ctx, "n")
		Expect(leaseOf(ctx, replica)).NotTo(BeNil())
		replica.stop()
		Expect(leaseOf(ctx, replica)).To(BeNil())
	})

	It("joins anew when its Lease is deleted, and never revives it", func(ctx SpecContext) {
		replica := startAuthServer(ctx, "s")
		lease := leaseOf(ctx, replica)
		Expect(admin.Delete(ctx, lease)).To(Succeed())
		var anew *coordinationv1.Lease
		Eventually(func() *coordinationv1.Lease {
			anew = leaseOf(ctx, replica)
			return anew
		}).ShouldNot(BeNil())
		Expect(anew.Spec.HolderIdentity).NotTo(Equal(lease.Spec.HolderIdentity), "the session went on in a new Lease")
	})

	It("is waited for by name until it is fenced, when nobody hears from it", func(ctx SpecContext) {
		silenced := &silencer{}
		startAuthServer(ctx, "o")
		lost := startAuthServer(ctx, "p", silenced.wrap)
		startManager(ctx, account(ctx, managerAccount))
		key := newTenant(ctx).mint(ctx, "contested")
		plaintext := plaintextOf(ctx, key)

		silenced.silent.Store(true)
		Expect(admin.Delete(ctx, key)).To(Succeed())
		condition := awaitReason(ctx, key, v1alpha1.ConditionRegistered, v1alpha1.ReasonRevoking)
		Expect(condition.Message).To(ContainSubstring("Waiting for 1 of 2 auth servers to drop the key: " + lost.name))
		Expect(lost.status(plaintext)).To(Equal(http.StatusOK), "a replica that does not know better")
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), &corev1.Secret{})).To(MatchError(apierrors.IsNotFound, "gone"),
			"the Secret has waited for a replica that has vanished")
		awaitReason(ctx, key, v1alpha1.ConditionPublished, v1alpha1.ReasonNotPublished)
		// While the APIKey is there, somebody may accept its key. When it is gone, nobody does.
		answers := []int{}
		Eventually(func() error {
			answers = append(answers, lost.statusOnce(plaintext))
			return admin.Get(ctx, client.ObjectKeyFromObject(key), key)
		}).WithTimeout(30 * time.Second).ShouldNot(Succeed())
		Expect(lost.statusOnce(plaintext)).To(Equal(http.StatusServiceUnavailable))
		Expect(answers).To(ContainElement(http.StatusOK), "it was fenced long before it was counted out")
		Expect(answers[len(answers)-1]).To(Equal(http.StatusServiceUnavailable))

		// It finds its way back by itself, and knows what happened.
		silenced.silent.Store(false)
		Eventually(lost.status).WithArguments(plaintext).Should(Equal(http.StatusUnauthorized))
	}, NodeTimeout(time.Minute))

	It("that has gone silent delays a new key no longer than its suspicion", func(ctx SpecContext) {
		silenced := &silencer{}
		startAuthServer(ctx, "q")
		lost := startAuthServer(ctx, "r", silenced.wrap)
		DeferCleanup(func() { silenced.silent.Store(false) })
		startManager(ctx, account(ctx, managerAccount))
		t := newTenant(ctx)
		before := plaintextOf(ctx, t.mint(ctx, "before"))
		deleted := t.mint(ctx, "deleted")
		unknown := plaintextOf(ctx, deleted)
		Expect(admin.Delete(ctx, deleted)).To(Succeed())
		Eventually(lost.statusOnce).WithArguments(unknown).Should(Equal(http.StatusUnauthorized))
		silenced.silent.Store(true)
		began := time.Now()
		key := t.mint(ctx, "after")
		// A machine that is busy may take its time, too: then the replica may be fenced meanwhile.
		if took := time.Since(began); lost.statusOnce(before) == http.StatusServiceUnavailable {
			Expect(took).To(BeNumerically("<", staleness), "the key has waited until the replica was fenced")
		}
		// It may not know the key; then it must not say that there is none.
		Expect(lost.statusOnce(plaintextOf(ctx, key))).To(Equal(http.StatusServiceUnavailable))

		// It finds out by itself what it has missed, although nothing changes that would
		// tell it, and no bookmark is due.
		silenced.silent.Store(false)
		Eventually(lost.statusOnce).WithArguments(plaintextOf(ctx, key)).Should(Equal(http.StatusOK))
		Eventually(lost.statusOnce).WithArguments(unknown).WithTimeout(15 * time.Second).Should(Equal(http.StatusUnauthorized))
	})
})

// silencer cuts a replica off from the API server, as a partition does.
type silencer struct {
	silent atomic.Bool
	next   http.RoundTripper
}

func (s *silencer) wrap(config *rest.Config) {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		s.next = next
		return s
	})
}

func (s *silencer) RoundTrip(request *http.Request) (*http.Response, error) {
	if s.silent.Load() {
		return nil, errKilled
	}
	response, err := s.next.RoundTrip(request)
	if err == nil && request.URL.Query().Get("watch") != "" {
		response.Body = &silencedBody{ReadCloser: response.Body, silencer: s}
	}
	return response, err
}

// silencedBody is a watch that brings nothing more once its replica is cut off:
// what arrives meanwhile is lost with the connection.
type silencedBody struct {
	io.ReadCloser
	silencer *silencer
}

func (b *silencedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.silencer.silent.Load() {
		return 0, errKilled
	}
	return n, err
}

// serverRequests are the requests of auth servers so far.
func serverRequests() []auditv1.Event {
	GinkgoHelper()
	all, err := plane.AuditEvents()
	Expect(err).NotTo(HaveOccurred())
	var own []auditv1.Event
	for _, e := range all {
		if e.User.Username == "system:serviceaccount:"+systemNamespace+":"+serverAccount && e.ObjectRef.Resource != "" {
			own = append(own, e)
		}
	}
	return own
}

// leaseOf returns the Lease of an auth server, or nil.
func leaseOf(ctx SpecContext, server *authServer) *coordinationv1.Lease {
	GinkgoHelper()
	list := &coordinationv1.LeaseList{}
	Expect(admin.List(ctx, list, client.InNamespace(systemNamespace), registry.LeaseLabels())).To(Succeed())
	for i := range list.Items {
		if list.Items[i].Name == server.name {
			return &list.Items[i]
		}
	}
	return nil
}
