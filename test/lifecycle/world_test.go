// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/controllers"
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/serving"
	"github.com/hexcovery/apikey-operator/internal/surface"
	"github.com/hexcovery/apikey-operator/internal/usage"
	usageserver "github.com/hexcovery/apikey-operator/internal/usage/serve"
	"github.com/hexcovery/apikey-operator/webhook"
)

const (
	// staleness and suspicion are short, so that specs need not wait for minutes.
	staleness = 10 * time.Second
	suspicion = 3 * time.Second
	// handOver is how long an auth server waits for a manager to take its usage; many
	// specs have none by then.
	handOver = time.Second
	// undecidedTimeout is how long an auth server may be unable to decide, where nothing but
	// the machine is in its way, and askInterval how often it is asked. When a machine has
	// kept it from what it should have heard, it is in doubt until it has made sure.
	undecidedTimeout = 2 * time.Minute
	askInterval      = 10 * time.Millisecond
	// gathering is how often a manager asks for usage.
	gathering = 200 * time.Millisecond
)

// transcript is what was written to it, readable at any time.
type transcript struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buffer.Write(p)
}

func (t *transcript) Bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.buffer.Bytes())
}

// startManager runs a manager until stop is called, or the spec ends.
func startManager(ctx context.Context, config *rest.Config, specify ...func(*controllers.Options)) (stop func()) {
	GinkgoHelper()
	_, stop = runManager(ctx, config, specify...)
	return stop
}

// startManagerWithCache runs a manager until the spec ends, and returns what it
// reads from.
func startManagerWithCache(ctx context.Context) client.Reader {
	GinkgoHelper()
	manager, _ := runManager(ctx, account(ctx, managerAccount))
	return manager.GetCache()
}

func runManager(ctx context.Context, config *rest.Config, specify ...func(*controllers.Options)) (manager ctrl.Manager, stop func()) {
	GinkgoHelper()
	options := controllers.DefaultOptions()
	options.GatherInterval = gathering
	options.Namespace = systemNamespace
	options.MetricsAddress, options.ProbeAddress = "0", "0"
	options.LeaderElection = false
	options.SharedProcess, options.Metrics = true, prometheus.NewRegistry()
	options.Audit = audit.NewRecorder(trail, clock.RealClock{})
	for _, f := range specify {
		f(&options)
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	manager, err := controllers.NewManager(running, config, options)
	Expect(err).NotTo(HaveOccurred())
	done := make(chan error, 1)
	go func() { done <- manager.Start(running) }()
	stop = sync.OnceFunc(func() {
		cancel()
		// A manager that was cut off from the API server may end with an error.
		<-done
	})
	DeferCleanup(stop)
	return manager, stop
}

// authServer is a replica with its listeners.
type authServer struct {
	// name is that of its Lease.
	name    string
	url     string
	metrics string
	replica *registry.Replica
	stop    func()
}

// startAuthServer runs an auth server until stop is called, or the spec ends.
func startAuthServer(ctx context.Context, name string, change ...func(*rest.Config)) *authServer {
	GinkgoHelper()
	return startCountingServer(ctx, name, handOver, change...)
}

// startCountingServer is startAuthServer for one that waits longer until its usage is
// taken.
func startCountingServer(ctx context.Context, name string, handOver time.Duration, change ...func(*rest.Config)) *authServer {
	GinkgoHelper()
	config, lease := pod(ctx, name)
	for _, f := range change {
		f(config)
	}
	metrics, connections := prometheus.NewRegistry(), serving.NewMetrics()
	counters, told := usage.NewTable(clock.RealClock{}), listen()
	certificate, pin, err := usageserver.NewCertificate()
	Expect(err).NotTo(HaveOccurred())
	replica, err := registry.NewReplica(registry.ReplicaConfig{
		Client: clientOf(config), Namespace: systemNamespace, LeaseName: lease,
		MaxStaleness: staleness, SuspectAfter: suspicion,
		Usage: counters, UsageAddress: told.Addr().String(), UsagePin: pin,
		Log: ctrl.Log.WithName("authserver").WithValues("replica", name),
	})
	Expect(err).NotTo(HaveOccurred())
	filter, err := usageserver.NewFilter(config)
	Expect(err).NotTo(HaveOccurred())
	teller, err := usageserver.New(usageserver.Config{
		Table: counters, Process: replica.Process(), Finish: replica.Finish,
		Listener: told, Certificate: certificate, Filter: filter, HandOverTimeout: handOver,
		Clock: clock.RealClock{}, Log: ctrl.Log.WithName("usage").WithValues("replica", name), Connections: connections,
	})
	Expect(err).NotTo(HaveOccurred())
	gateways, operations := listen(), listen()
	server, err := webhook.New(webhook.Config{
		Authenticator: replica, Surface: surface.Default(), OrganizationHeader: "X-Scope-OrgID", Usage: teller,
		Gateways: gateways, Operations: operations, ShutdownTimeout: 5 * time.Second,
		Clock: clock.RealClock{}, Log: ctrl.Log.WithName("authserver"), Connections: connections, Gatherer: metrics,
	})
	Expect(err).NotTo(HaveOccurred())
	metrics.MustRegister(connections, replica, teller, server)

	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- webhook.Run(running, server, replica) }()
	s := &authServer{
		name:    lease,
		url:     "http://" + gateways.Addr().String(),
		metrics: "http://" + operations.Addr().String() + "/metrics",
		replica: replica,
	}
	s.stop = sync.OnceFunc(func() {
		cancel()
		Expect(<-done).To(Succeed())
	})
	DeferCleanup(s.stop)
	Eventually(replica.Ready).Should(BeTrue())
	return s
}

func listen() net.Listener {
	GinkgoHelper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	return l
}

// ask has the auth server judge a request with this key, as nginx asks, until it has. A
// machine that is busy delays what an auth server hears from the API server, which then
// rightly says that it cannot decide: that is no answer. Nothing else is asked again, so a
// key that is accepted when it should not be is seen.
func (s *authServer) ask(key []byte) *http.Response {
	GinkgoHelper()
	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()
	for began := time.Now(); ; <-ticker.C {
		response := s.askOnce(key)
		if response.StatusCode != http.StatusServiceUnavailable || time.Since(began) > undecidedTimeout {
			return response
		}
	}
}

// askOnce is for specs about auth servers that cannot decide.
func (s *authServer) askOnce(key []byte) *http.Response {
	GinkgoHelper()
	request, err := http.NewRequest(http.MethodGet, s.url+"/auth/original", nil)
	Expect(err).NotTo(HaveOccurred())
	request.Header.Set("X-Original-Method", http.MethodPost)
	request.Header.Set("X-Original-URI", "/api/v1/dsl")
	request.Header.Set("X-API-Key", string(key))
	response, err := http.DefaultClient.Do(request)
	Expect(err).NotTo(HaveOccurred())
	Expect(response.Body.Close()).To(Succeed())
	return response
}

// status is how ask was answered, and statusOnce how askOnce was.
func (s *authServer) status(key []byte) int {
	GinkgoHelper()
	return s.ask(key).StatusCode
}

func (s *authServer) statusOnce(key []byte) int {
	GinkgoHelper()
	return s.askOnce(key).StatusCode
}

// tenant is an organization with one namespace that it permits.
type tenant struct {
	organization *v1alpha1.Organization
	namespace    string
}

func newTenant(ctx context.Context, change ...func(*v1alpha1.Organization)) *tenant {
	GinkgoHelper()
	name := "t-" + rand.String(8)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": name}}}
	Expect(admin.Create(ctx, namespace)).To(Succeed())
	organization := &v1alpha1.Organization{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.OrganizationSpec{
			ID:         name + "-id",
			Namespaces: v1alpha1.NamespacePolicy{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": name}}},
		},
	}
	for _, f := range change {
		f(organization)
	}
	Expect(admin.Create(ctx, organization)).To(Succeed())
	return &tenant{organization: organization, namespace: name}
}

// key returns an APIKey of the tenant that is not created yet.
func (t *tenant) key(name string, change ...func(*v1alpha1.APIKey)) *v1alpha1.APIKey {
	key := &v1alpha1.APIKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: name},
		Spec:       v1alpha1.APIKeySpec{OrganizationRef: v1alpha1.OrganizationReference{Name: t.organization.Name}},
	}
	for _, f := range change {
		f(key)
	}
	return key
}

// mint creates an APIKey and waits until its key works.
func (t *tenant) mint(ctx context.Context, name string, change ...func(*v1alpha1.APIKey)) *v1alpha1.APIKey {
	GinkgoHelper()
	key := t.key(name, change...)
	Expect(admin.Create(ctx, key)).To(Succeed())
	awaitServing(ctx, key)
	return key
}

// awaitServing waits until the key works, and refreshes key.
func awaitServing(ctx context.Context, key *v1alpha1.APIKey) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
		g.Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionServing)).To(BeTrue(), "%+v", key.Status.Conditions)
		g.Expect(key.Status.ObservedGeneration).To(Equal(key.Generation))
	}).Should(Succeed())
}

func awaitReady(ctx context.Context, key *v1alpha1.APIKey) {
	GinkgoHelper()
	awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonReady)
}

// awaitReason waits until a condition has a reason, and refreshes key.
func awaitReason(ctx context.Context, key *v1alpha1.APIKey, conditionType, reason string) metav1.Condition {
	GinkgoHelper()
	var found metav1.Condition
	Eventually(func(g Gomega) {
		g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
		condition := meta.FindStatusCondition(key.Status.Conditions, conditionType)
		g.Expect(condition).NotTo(BeNil(), "no condition %s in %+v", conditionType, key.Status.Conditions)
		g.Expect(condition.Reason).To(Equal(reason), condition.Message)
		g.Expect(condition.ObservedGeneration).To(Equal(key.Generation))
		found = *condition
	}).Should(Succeed())
	return found
}

// awaitReplaced waits until a key other than the one of that ID is Ready, and
// refreshes key.
func awaitReplaced(ctx context.Context, key *v1alpha1.APIKey, id string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
		g.Expect(key.Status.KeyID).NotTo(Equal(id))
		g.Expect(meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionServing)).To(BeTrue())
	}).Should(Succeed())
}

// awaitVersions waits until the versions of key are in these states, and refreshes key.
func awaitVersions(ctx context.Context, key *v1alpha1.APIKey, states ...v1alpha1.VersionState) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
		got := make([]v1alpha1.VersionState, 0, len(key.Status.Versions))
		for i := range key.Status.Versions {
			got = append(got, key.Status.Versions[i].State)
		}
		g.Expect(got).To(Equal(append([]v1alpha1.VersionState{}, states...)))
	}).Should(Succeed())
}

// secretOf returns the Secret of an APIKey.
func secretOf(ctx context.Context, key *v1alpha1.APIKey) *corev1.Secret {
	GinkgoHelper()
	secret := &corev1.Secret{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: key.SecretName()}, secret)).To(Succeed())
	return secret
}

// previousSecretOf returns the Secret of the key that was replaced last, or nil.
func previousSecretOf(ctx context.Context, key *v1alpha1.APIKey) *corev1.Secret {
	GinkgoHelper()
	secret := &corev1.Secret{}
	err := admin.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: key.SecretName() + v1alpha1.PreviousSuffix}, secret)
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	return secret
}

func plaintextOf(ctx context.Context, key *v1alpha1.APIKey) []byte {
	GinkgoHelper()
	return secretOf(ctx, key).Data[v1alpha1.SecretKeyAPIKey]
}

// change changes an object as its user would.
func change[T client.Object](ctx context.Context, obj T, f func(T)) {
	GinkgoHelper()
	before := obj.DeepCopyObject().(T)
	f(obj)
	Expect(admin.Patch(ctx, obj, client.MergeFrom(before))).To(Succeed())
}

// awaitGone waits until an object is gone for good.
func awaitGone(ctx context.Context, obj client.Object) {
	GinkgoHelper()
	Eventually(func() bool {
		return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(obj), obj))
	}).Should(BeTrue(), "%T %s is still there", obj, obj.GetName())
}

// awaitStatusPolicy waits until the policy on apikeys/status is enforced, which
// an API server begins a moment after the policy is created.
func awaitStatusPolicy(ctx context.Context) {
	GinkgoHelper()
	// The policies that stamp objects know a kind some time after it is defined, and
	// refuse it until then.
	Eventually(func() error {
		return admin.Create(ctx, &v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: "probe"}}, client.DryRunAll)
	}).Should(Succeed())
	t := newTenant(ctx)
	key := t.key("probe")
	Eventually(func() error { return admin.Create(ctx, key) }).Should(Succeed())
	Eventually(func() error {
		probe := key.DeepCopy()
		probe.Status.KeyID = fmt.Sprintf("%012x", 1)
		return admin.Status().Patch(ctx, probe, client.MergeFrom(key), client.DryRunAll)
	}).Should(MatchError(apierrors.IsForbidden, "refused by the policy"))
	Expect(admin.Delete(ctx, key)).To(Succeed())
}
