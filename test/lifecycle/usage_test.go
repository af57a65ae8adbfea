// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/controllers"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/usage/gather"
)

// How much the spec of the number of writes does.
var (
	usageKeys     = flag.Int("usage.keys", 40, "keys that are used")
	usageRate     = flag.Int("usage.rate", 200, "requests per second, of all of them")
	usageInterval = flag.Duration("usage.interval", 4*time.Second, "the manager's --usage-interval")
)

// patience is as long as an auth server waits for a manager by default.
const patience = 15 * time.Second

// writeOften has the usage of a key written as often as it is gathered.
func writeOften(options *controllers.Options) { options.UsageInterval = gathering }

// lastUsed returns what the status of key has, read anew; zero if it was never used.
func lastUsed(ctx context.Context, key *v1alpha1.APIKey) time.Time {
	GinkgoHelper()
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
	return ptr.Deref(key.Status.LastUsedTime, metav1.Time{}).Time
}

// meter has the metrics of a manager.
type meter struct{ *prometheus.Registry }

// measured returns the metrics of a manager that is run with specify, each key's among them.
func measured() (m meter, specify func(*controllers.Options)) {
	m = meter{prometheus.NewRegistry()}
	return m, func(options *controllers.Options) { options.Metrics, options.KeyMetricsLimit = m, 10_000 }
}

// total adds up what a counter has of a namespace; of all, if that is "".
func (m meter) total(counter, namespace string) (total int64) {
	GinkgoHelper()
	families, err := m.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			in := func(pair *dto.LabelPair) bool { return pair.GetName() == "namespace" && pair.GetValue() == namespace }
			if family.GetName() == counter && (namespace == "" || slices.ContainsFunc(metric.GetLabel(), in)) {
				total += int64(metric.GetCounter().GetValue())
			}
		}
	}
	return total
}

// requests returns how many were gathered that bore a key of this namespace.
func (m meter) requests(namespace string) int64 {
	GinkgoHelper()
	return m.total("apikey_usage_key_requests_total", namespace)
}

// statusWrites returns when the statuses of APIKeys in this namespace were written;
// those of one, if it has a name.
func statusWrites(namespace, name string) (times []time.Time) {
	GinkgoHelper()
	all, err := plane.AuditEvents()
	Expect(err).NotTo(HaveOccurred())
	for _, e := range all {
		if e.ObjectRef.Resource == "apikeys" && e.ObjectRef.Subresource == "status" && e.Verb == "patch" && e.ResponseStatus.Code == http.StatusOK &&
			e.ObjectRef.Namespace == namespace && (name == "" || name == e.ObjectRef.Name) {
			times = append(times, e.RequestReceivedTimestamp.Time)
		}
	}
	return times
}

var _ = Describe("The usage of a key", func() {
	It("is in its status and in metrics, and counts what was refused for another reason", func(ctx SpecContext) {
		metrics, measure := measured()
		runManager(ctx, account(ctx, managerAccount), writeOften, measure)
		server := startAuthServer(ctx, "u1")
		key := newTenant(ctx).mint(ctx, "used", func(k *v1alpha1.APIKey) { k.Spec.Scopes = []v1alpha1.Scope{v1alpha1.ScopeIngest} })
		Expect(key.Status.LastUsedTime).To(BeNil())
		plaintext := plaintextOf(ctx, key)
		began := time.Now()
		for range 7 {
			Expect(server.status(plaintext)).To(Equal(http.StatusForbidden), "the scope query is missing")
		}
		Eventually(lastUsed).WithArguments(ctx, key).Should(BeTemporally("~", began, 2*time.Second))
		Eventually(metrics.requests).WithArguments(key.Namespace).Should(BeEquivalentTo(7))
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
		Eventually(lastUsed).WithArguments(ctx, key).ShouldNot(BeZero(), "the first use is written at once")
		first := lastUsed(ctx, key)
		idle, busy := len(statusWrites(t.namespace, "idle")), len(statusWrites(t.namespace, "busy"))
		Consistently(func() int {
			server.status(plaintext)
			return len(statusWrites(t.namespace, "busy"))
		}).WithTimeout(10 * gathering).WithPolling(gathering / 2).Should(Equal(busy))
		Expect(statusWrites(t.namespace, "idle")).To(HaveLen(idle))

		By("riding along with what is written anyway")
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Suspend = true })
		awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonSuspended)
		Expect(lastUsed(ctx, key)).To(BeTemporally(">", first))
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
		Eventually(lastUsed).WithArguments(ctx, key).ShouldNot(BeZero())
		again := apply()
		Expect(again.ResourceVersion).To(Equal(key.ResourceVersion))
		Expect(again.Status).To(Equal(key.Status))
		for _, entry := range again.ManagedFields {
			if entry.Manager == "gitops" {
				Expect(entry.FieldsV1.GetRawString()).NotTo(ContainSubstring("status"))
			}
		}
	})

	It("misses nothing when auth servers are replaced one after the other", func(ctx SpecContext) {
		metrics, measure := measured()
		runManager(ctx, account(ctx, managerAccount), writeOften, measure)
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
		ended := time.Now()
		Eventually(metrics.requests).WithArguments(key.Namespace).Should(Equal(load.answered.Load()))
		Consistently(metrics.requests).WithArguments(key.Namespace).WithTimeout(5 * gathering).Should(Equal(load.answered.Load()))
		Eventually(lastUsed).WithArguments(ctx, key).Should(BeTemporally("~", ended, 2*time.Second))
		Expect(load.refused.Load()).To(BeZero())
		Expect(metrics.total("apikey_usage_gaps_total", "")).To(BeZero())
		AddReportEntry("requests", fmt.Sprintf("%d sent and answered, %d gathered, over 6 graceful ends of auth servers", load.answered.Load(), metrics.requests(key.Namespace)))
	}, NodeTimeout(2*time.Minute))

	It("is handed over by an auth server that goes on applying every change", func(ctx SpecContext) {
		startManager(ctx, account(ctx, managerAccount))
		server := startAuthServer(ctx, "y")
		key := newTenant(ctx).mint(ctx, "revoked-meanwhile")
		plaintext := plaintextOf(ctx, key)
		// As if the manager could not be reached: it is never told that it may go.
		server.replica.Finish()
		Eventually(func() string { return leaseOf(ctx, server).Annotations["auth.hexcovery.io/usage-final"] }).Should(Equal("true"))
		began := time.Now()
		Expect(admin.Delete(ctx, key)).To(Succeed())
		awaitGone(ctx, key)
		Expect(time.Since(began)).To(BeNumerically("<", staleness), "the revocation has waited for the replica to run out")
		Expect(server.status(plaintext)).To(Equal(http.StatusUnauthorized))
	})

	It("is told to nobody else", func(ctx SpecContext) {
		server := startAuthServer(ctx, "z")
		source := registry.UsageSourceOf(leaseOf(ctx, server))
		ask := func(token string) int {
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
			request, err := http.NewRequest(http.MethodPost, "https://"+source.Address+"/usage", strings.NewReader(`{"process":"`+source.Process+`"}`))
			Expect(err).NotTo(HaveOccurred())
			if token != "" {
				request.Header.Set("Authorization", "Bearer "+token)
			}
			response, err := client.Do(request)
			Expect(err).NotTo(HaveOccurred())
			Expect(response.Body.Close()).To(Succeed())
			return response.StatusCode
		}
		Expect(ask("")).To(Equal(http.StatusUnauthorized))
		Expect(ask("made-up")).To(Equal(http.StatusInternalServerError), "what the filter says of a token that the API server refuses")
		for _, other := range []string{serverAccount, managerAccount} {
			Expect(ask(account(ctx, other).BearerToken)).To(Equal(http.StatusForbidden), other)
		}
		Expect(ask(account(ctx, gather.ReaderAccount).BearerToken)).To(Equal(http.StatusOK))
	})

	It("is written once an interval for each key at most", func(ctx SpecContext) {
		metrics, measure := measured()
		runManager(ctx, account(ctx, managerAccount), measure, func(o *controllers.Options) { o.UsageInterval = *usageInterval })
		servers := []*authServer{startCountingServer(ctx, "x1", patience), startCountingServer(ctx, "x2", patience), startCountingServer(ctx, "x3", patience)}
		t := newTenant(ctx)
		all := make([]*v1alpha1.APIKey, *usageKeys)
		for i := range all {
			all[i] = t.key(fmt.Sprint("k-", i))
			Expect(admin.Create(ctx, all[i])).To(Succeed())
		}
		plaintexts := make([][]byte, len(all))
		for i, key := range all {
			awaitReady(ctx, key)
			plaintexts[i] = plaintextOf(ctx, key)
		}
		began := time.Now()
		sending, cancel := context.WithTimeout(ctx, 4**usageInterval)
		defer cancel()
		var senders sync.WaitGroup
		var next, sent atomic.Int64
		limit := rate.NewLimiter(rate.Limit(*usageRate), 10)
		for range 16 {
			senders.Go(func() {
				defer GinkgoRecover()
				for limit.Wait(sending) == nil {
					n := int(next.Add(1))
					Expect(servers[n%len(servers)].status(plaintexts[n%len(plaintexts)])).To(Equal(http.StatusOK))
					sent.Add(1)
				}
			})
		}
		senders.Wait()
		lasted := time.Since(began)
		Eventually(metrics.requests).WithArguments(t.namespace).WithTimeout(2 * patience).WithPolling(time.Second).Should(Equal(sent.Load()))
		ended := time.Now()
		Eventually(func(g Gomega) {
			list := &v1alpha1.APIKeyList{}
			g.Expect(admin.List(ctx, list, client.InNamespace(t.namespace))).To(Succeed())
			for i := range list.Items {
				g.Expect(list.Items[i].Status.LastUsedTime).NotTo(BeNil())
				g.Expect(list.Items[i].Status.LastUsedTime.Time).To(BeTemporally("~", ended, 2**usageInterval), list.Items[i].Name)
			}
		}).WithTimeout(2*patience + 2**usageInterval).WithPolling(time.Second).Should(Succeed())

		times := slices.DeleteFunc(statusWrites(t.namespace, ""), func(at time.Time) bool { return at.Before(began) })
		slices.SortFunc(times, time.Time.Compare)
		most := 0
		for i := range times {
			end, _ := slices.BinarySearchFunc(times, times[i].Add(*usageInterval), time.Time.Compare)
			most = max(most, end-i)
		}
		figures := fmt.Sprintf("%d keys, %.0f requests a second for %s, an interval of %s: %d status writes, at most %d in any interval; %d requests sent and gathered",
			len(all), float64(sent.Load())/lasted.Seconds(), lasted.Round(time.Second), *usageInterval, len(times), most, sent.Load())
		AddReportEntry("writes", figures)
		GinkgoWriter.Println(figures)
		Expect(most).To(BeNumerically("<=", len(all)))
	}, NodeTimeout(10*time.Minute))

	It("outlives the leader", func(ctx SpecContext) {
		_, stop := runManager(ctx, account(ctx, managerAccount), writeOften)
		server := startAuthServer(ctx, "w")
		key := newTenant(ctx).mint(ctx, "inherited")
		plaintext := plaintextOf(ctx, key)
		server.status(plaintext)
		Eventually(lastUsed).WithArguments(ctx, key).ShouldNot(BeZero())
		stop()
		before := lastUsed(ctx, key)
		Eventually(time.Now).WithTimeout(3 * time.Second).Should(BeTemporally(">", before.Add(2*time.Second)))
		server.status(plaintext)
		used := time.Now()
		Expect(lastUsed(ctx, key)).To(Equal(before))
		runManager(ctx, account(ctx, managerAccount), writeOften)
		Eventually(lastUsed).WithArguments(ctx, key).Should(BeTemporally("~", used, 2*time.Second))
		Expect(lastUsed(ctx, key)).To(BeTemporally(">", before))
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
