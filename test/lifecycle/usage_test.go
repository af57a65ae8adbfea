// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/controllers"
)

// patience is as long as an auth server waits for a manager by default.
const patience = 15 * time.Second

// writeOften has the usage of a key written as often as it is gathered.
func writeOften(options *controllers.Options) { options.UsageInterval = gathering }

// counted returns what the status of key has.
func counted(ctx context.Context, key *v1alpha1.APIKey) int64 {
	GinkgoHelper()
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
	var total int64
	for i := range key.Status.Versions {
		total += key.Status.Versions[i].Requests
	}
	return total
}

// statusWrites returns how often the manager has written the status of an APIKey in
// this namespace; of any, if there are no names.
func statusWrites(namespace string, names ...string) (count int) {
	GinkgoHelper()
	all, err := plane.AuditEvents()
	Expect(err).NotTo(HaveOccurred())
	for _, e := range all {
		if e.Resource != "apikeys" || e.Subresource != "status" || e.Verb != "patch" || e.Namespace != namespace || e.Code != http.StatusOK {
			continue
		}
		if len(names) == 0 || strings.Join(names, " ") == e.Name {
			count++
		}
	}
	return count
}

var _ = Describe("The usage of a key", func() {
	It("is in its status, and counts what was refused for another reason", func(ctx SpecContext) {
		runManager(ctx, account(ctx, managerAccount), writeOften)
		server := startAuthServer(ctx, "u1")
		key := newTenant(ctx).mint(ctx, "used", func(k *v1alpha1.APIKey) { k.Spec.Scopes = []v1alpha1.Scope{v1alpha1.ScopeIngest} })
		Expect(key.Status.LastUsedTime).To(BeNil())
		plaintext := plaintextOf(ctx, key)
		began := time.Now()
		for range 7 {
			Expect(server.status(plaintext)).To(Equal(http.StatusForbidden), "the scope query is missing")
		}
		Eventually(counted).WithArguments(ctx, key).Should(BeEquivalentTo(7))
		Expect(key.Status.LastUsedTime).NotTo(BeNil())
		Expect(key.Status.LastUsedTime.Time).To(BeTemporally("~", began, 2*time.Second))
		Expect(key.Status.Versions[0].LastUsedTime).To(Equal(key.Status.LastUsedTime))
	})

	It("costs no write while nobody uses it, and one an interval while somebody does", func(ctx SpecContext) {
		startManager(ctx, account(ctx, managerAccount)) // once an hour
		server := startAuthServer(ctx, "u2")
		t := newTenant(ctx)
		t.mint(ctx, "idle")
		key := t.mint(ctx, "busy")
		plaintext := plaintextOf(ctx, key)
		server.status(plaintext)
		Eventually(counted).WithArguments(ctx, key).Should(BeEquivalentTo(1), "the first use is written at once")
		idle, busy := statusWrites(t.namespace, "idle"), statusWrites(t.namespace, "busy")
		Consistently(func() int {
			server.status(plaintext)
			return statusWrites(t.namespace, "busy")
		}).WithTimeout(10 * gathering).WithPolling(gathering / 2).Should(Equal(busy))
		Expect(statusWrites(t.namespace, "idle")).To(Equal(idle))

		By("riding along with what is written anyway")
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Suspend = true })
		awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonSuspended)
		Expect(counted(ctx, key)).To(BeNumerically(">", 5))
	})

	It("is no drift: the same manifest applied again changes nothing", func(ctx SpecContext) {
		runManager(ctx, account(ctx, managerAccount), writeOften)
		server := startAuthServer(ctx, "u3")
		t := newTenant(ctx)
		manifest, err := yaml.Marshal(map[string]any{
			"apiVersion": v1alpha1.GroupVersion.String(), "kind": "APIKey",
			"metadata": map[string]any{"namespace": t.namespace, "name": "from-git"},
			"spec":     map[string]any{"organizationRef": map[string]any{"name": t.organization.Name}},
		})
		Expect(err).NotTo(HaveOccurred())
		apply := func() *v1alpha1.APIKey {
			key := t.key("from-git")
			Expect(admin.Patch(ctx, key, client.RawPatch("application/apply-patch+yaml", manifest), client.FieldOwner("gitops"), client.ForceOwnership)).To(Succeed())
			return key
		}
		key := apply()
		awaitReady(ctx, key)
		server.status(plaintextOf(ctx, key))
		Eventually(counted).WithArguments(ctx, key).Should(BeEquivalentTo(1))
		again := apply()
		Expect(again.ResourceVersion).To(Equal(key.ResourceVersion))
		Expect(again.Status).To(Equal(key.Status))
		for _, entry := range again.ManagedFields {
			if entry.Manager == "gitops" {
				Expect(string(entry.FieldsV1.Raw)).NotTo(ContainSubstring("status"))
			}
		}
	})

	It("loses no request when auth servers are replaced one after the other", func(ctx SpecContext) {
		runManager(ctx, account(ctx, managerAccount), writeOften)
		servers := []*authServer{startCountingServer(ctx, "v-0a", patience), startCountingServer(ctx, "v-1a", patience)}
		key := newTenant(ctx).mint(ctx, "rolled")
		load := startLoad(plaintextOf(ctx, key), servers)
		for generation := range 3 {
			for i := range servers {
				old := load.server(i)
				next := startCountingServer(ctx, fmt.Sprintf("v-%d%c", i, 'b'+generation), patience)
				load.replace(i, next)
				began := time.Now()
				old.stop()
				Expect(time.Since(began)).To(BeNumerically("<", patience), "nobody has taken what it had counted")
			}
		}
		load.stop()
		Eventually(counted).WithArguments(ctx, key).Should(Equal(load.answered.Load()))
		Consistently(counted).WithArguments(ctx, key).WithTimeout(5 * gathering).Should(Equal(load.answered.Load()))
		Expect(load.refused.Load()).To(BeZero())
		AddReportEntry("requests", fmt.Sprintf("%d sent and answered, %d counted, over 6 graceful ends of auth servers", load.answered.Load(), counted(ctx, key)))
	}, NodeTimeout(2*time.Minute))

	It("outlives the leader", func(ctx SpecContext) {
		_, stop := runManager(ctx, account(ctx, managerAccount), writeOften)
		server := startAuthServer(ctx, "w")
		key := newTenant(ctx).mint(ctx, "inherited")
		plaintext := plaintextOf(ctx, key)
		for range 5 {
			server.status(plaintext)
		}
		Eventually(counted).WithArguments(ctx, key).Should(BeEquivalentTo(5))
		// Once more, so that what was written is acknowledged.
		Eventually(func() int64 { server.status(plaintext); return counted(ctx, key) }).WithPolling(3 * gathering).Should(BeNumerically(">", 6))
		Consistently(counted).WithArguments(ctx, key).WithTimeout(5 * gathering).Should(BeNumerically(">", 6))
		before := counted(ctx, key)
		stop()
		for range 4 {
			server.status(plaintext)
		}
		runManager(ctx, account(ctx, managerAccount), writeOften)
		Eventually(counted).WithArguments(ctx, key).Should(Equal(before + 4))
		Consistently(counted).WithArguments(ctx, key).WithTimeout(5 * gathering).Should(Equal(before + 4))
	})
})

// load sends requests with one key to several auth servers, as a gateway would: to
// those that are ready.
type load struct {
	plaintext         []byte
	answered, refused atomic.Int64
	mu                sync.RWMutex
	servers           []*authServer
	cancel            context.CancelFunc
	senders           sync.WaitGroup
}

func startLoad(plaintext []byte, servers []*authServer) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{plaintext: plaintext, servers: servers, cancel: cancel}
	for i := range servers {
		for range 4 {
			l.senders.Go(func() {
				for ctx.Err() == nil {
					l.send(i)
				}
			})
		}
	}
	DeferCleanup(l.stop)
	return l
}

// send holds the auth server as long as the request is under way: the drain of a real
// one is long enough for that.
func (l *load) send(i int) {
	defer GinkgoRecover()
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.servers[i].status(l.plaintext) == http.StatusOK {
		l.answered.Add(1)
	} else {
		l.refused.Add(1)
	}
}

func (l *load) server(i int) *authServer {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.servers[i]
}

func (l *load) replace(i int, next *authServer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.servers[i] = next
}

func (l *load) stop() {
	l.cancel()
	l.senders.Wait()
}
