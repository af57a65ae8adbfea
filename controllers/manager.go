// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	controllerconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrlmanager "sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/controllers/apikey"
	"github.com/hexcovery/apikey-operator/controllers/organization"
	"github.com/hexcovery/apikey-operator/controllers/restart"
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/refusal"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/serving"
	"github.com/hexcovery/apikey-operator/internal/usage/gather"
)

const (
	// DefaultNamespace is where config/ installs the operator.
	DefaultNamespace = "hexcovery-system"
	// DefaultConcurrency keeps an API server busy without crowding others out:
	// most of a pass is waiting for it.
	DefaultConcurrency = 16
	// leaderLease is the name of the Lease by which managers elect a leader.
	leaderLease = "apikey-manager"
	// escrowLimit bounds the keys that wait for acknowledgement: some hundred
	// bytes each.
	escrowLimit = 100_000
	// shutdownGrace is how long passes that are under way may take at the end.
	shutdownGrace = 10 * time.Second
)

// Options configure a manager.
type Options struct {
	// Namespace of the operator, where the Leases are.
	Namespace string
	// MetricsAddress and ProbeAddress are listened on; "0" for none.
	MetricsAddress, ProbeAddress string
	// LeaderElection lets one of several managers act at a time.
	LeaderElection bool
	// LeaseDuration, RenewDeadline and RetryPeriod are those of leader election; see
	// k8s.io/client-go/tools/leaderelection.
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
	// Concurrency is how many APIKeys are worked on at the same time.
	Concurrency int
	// UsageInterval is the least time between two writes of a status for the use of its
	// key alone, and GatherInterval that between two questions to each auth server.
	UsageInterval, GatherInterval time.Duration
	// WatchBound is how long a watch may fail before the manager is not ready.
	WatchBound time.Duration
	// KeyMetricsLimit is how many keys have metrics of their own at most; 0 for none.
	KeyMetricsLimit int
	// Audit gets a line for each event. Required.
	Audit *audit.Recorder
	// Usage says what keys are used for; nil for what auth servers tell.
	Usage apikey.UsageReader
	// Clock is the real clock, but in tests.
	Clock clock.WithTicker
	// Metrics is where the registry's metrics are registered, beside those that
	// controller-runtime has there.
	Metrics prometheus.Registerer
	// SharedProcess is for tests that run several managers in one process.
	SharedProcess bool
}

// DefaultOptions returns the options of a manager that runs in a cluster.
func DefaultOptions() Options {
	namespace := os.Getenv("POD_NAMESPACE")
	if namespace == "" {
		namespace = DefaultNamespace
	}
	return Options{
		Namespace:      namespace,
		LeaderElection: true,
		// As kube-controller-manager's.
		LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second,
		Concurrency:   DefaultConcurrency,
		UsageInterval: gather.DefaultInterval, GatherInterval: gather.DefaultGatherInterval,
		WatchBound: DefaultWatchBound,

		Clock:   clock.RealClock{},
		Metrics: metrics.Registry,
	}
}

// NewScheme returns the types that a manager reads and writes.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))
}

// NewManager returns a manager with every controller set up. It acts when it is
// started.
func NewManager(ctx context.Context, config *rest.Config, options Options) (ctrl.Manager, error) {
	switch {
	case options.Audit == nil || options.Concurrency < 1:
		return nil, errors.New("a manager needs an audit recorder, and a concurrency of at least 1")
	case options.UsageInterval <= 0 || options.GatherInterval <= 0:
		return nil, errors.New("the intervals of usage have to be more than 0s")
	}
	watches := newWatchHealth(options.Clock)
	managerOptions, err := managerOptions(options, watches)
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	// The API server's own priority and fairness does this better.
	config.QPS = -1
	mgr, err := ctrl.NewManager(config, managerOptions)
	if err != nil {
		return nil, fmt.Errorf("set up manager: %w", err)
	}
	members := registry.NewMembers(mgr.GetAPIReader(), options.Namespace, options.Clock)
	ledger := gather.NewLedger(options.Clock, options.UsageInterval)
	gatherer := gather.New(gather.Config{
		Members: members, Keys: mgr.GetCache(), Leases: mgr.GetCache(), Ledger: ledger, Interval: options.GatherInterval, Clock: options.Clock,
		Tokens: &gather.Tokens{Client: mgr.GetClient(), Namespace: options.Namespace, Clock: options.Clock},
	})
	unwritten := refusal.NewTracker(options.Clock)
	refusals := audit.NewRefusals(options.Audit, audit.Manager(audit.CausePermission), options.Clock, mgr.GetLogger().WithName("audit"))
	restarts := restart.New(mgr.GetClient(), mgr.GetAPIReader(), options.Clock)
	apiKeys := &apikey.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Clock: options.Clock,
		Members: members, Waiters: registry.NewWaiters(options.Clock),
		Usage: options.Usage, Gatherer: gatherer, Rollout: restarts.Rollout,
		Escrow: keys.NewEscrow(escrowLimit), Audit: options.Audit, Refusals: refusals, Unwritten: unwritten,
	}
	if apiKeys.Usage == nil {
		apiKeys.Usage = gatherer
	}
	organizations := &organization.Reconciler{
		Client: mgr.GetClient(), Clock: options.Clock, Members: members, Waiters: registry.NewOrganizationWaiters(options.Clock),
		Unwritten: unwritten,
	}
	collectors := []prometheus.Collector{
		members, gatherer, unwritten, objectCollector{reader: mgr.GetClient(), clock: options.Clock, elected: mgr.Elected()},
	}
	if options.KeyMetricsLimit > 0 {
		collectors = append(collectors, ledger.KeyMetrics(options.KeyMetricsLimit))
	}
	if err := errors.Join(
		register(options.Metrics, collectors...),
		mgr.Add(gatherer),
		mgr.Add(ctrlmanager.RunnableFunc(refusals.Run)),
		mgr.Add(registry.LeaseCollector{Members: members, Writer: mgr.GetClient(), Clock: options.Clock}),
		apiKeys.SetupWithManager(ctx, mgr, options.Concurrency, restarts.Changes()),
		restarts.SetupWithManager(mgr),
		organizations.SetupWithManager(mgr),
		addProbes(mgr, watches, options),
	); err != nil {
		return nil, fmt.Errorf("set up controllers: %w", err)
	}
	return mgr, nil
}

func register(metrics prometheus.Registerer, collectors ...prometheus.Collector) error {
	var errs []error
	for _, collector := range collectors {
		errs = append(errs, metrics.Register(collector))
	}
	return errors.Join(errs...)
}

// addProbes has the manager be ready while it can do something. What a watch does not
// bring for some time is no reason to restart it.
func addProbes(mgr ctrl.Manager, watches *watchHealth, options Options) error {
	errs := []error{
		mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("caches", cachesSynced(mgr.GetCache())),
	}
	for _, kind := range watchedKinds {
		errs = append(errs, register(options.Metrics, watches.metric(kind)),
			mgr.AddReadyzCheck("watch-"+strings.ToLower(kind), watches.check(kind, options.WatchBound)))
	}
	return errors.Join(errs...)
}

func managerOptions(options Options, watches *watchHealth) (ctrl.Options, error) {
	scheme, err := NewScheme()
	if err != nil {
		return ctrl.Options{}, fmt.Errorf("set up scheme: %w", err)
	}
	published, err := labels.Parse(v1alpha1.LabelAPIKey)
	if err != nil {
		return ctrl.Options{}, fmt.Errorf("select Secrets: %w", err)
	}
	return ctrl.Options{
		Scheme:                 scheme,
		Metrics:                server.Options{BindAddress: options.MetricsAddress, FilterProvider: ignoreBodies(options.Clock)},
		HealthProbeBindAddress: options.ProbeAddress,
		LeaderElection:         options.LeaderElection, LeaderElectionID: leaderLease, LeaderElectionNamespace: options.Namespace,
		LeaseDuration: &options.LeaseDuration, RenewDeadline: &options.RenewDeadline, RetryPeriod: &options.RetryPeriod,
		// The next leader need not wait for the Lease to run out: when Start
		// returns the process ends.
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       ptr.To(shutdownGrace),
		Controller:                    controllerconfig.Controller{SkipNameValidation: ptr.To(options.SharedProcess)},
		Client: client.Options{
			FieldOwner: apikey.FieldOwner,
			Cache:      &client.CacheOptions{EnableReadYourWritesConsistency: ptr.To(true)},
		},
		Cache: cache.Options{
			DefaultTransform:         cache.TransformStripManagedFields(),
			DefaultWatchErrorHandler: watches.handle,
			ByObject: map[client.Object]cache.ByObject{
				&corev1.Secret{}:         {Label: published, Transform: apikey.TransformSecret},
				&v1alpha1.APIKey{}:       {Transform: apikey.TransformAPIKey},
				&v1alpha1.Organization{}: {Transform: apikey.TransformOrganization},
				&coordinationv1.Lease{}: {Namespaces: map[string]cache.Config{
					options.Namespace: {LabelSelector: labels.SelectorFromSet(labels.Set(registry.LeaseLabels()))},
				}},
			},
		},
	}, nil
}

// ignoreBodies has the port for metrics answer without the body of a request:
// controller-runtime's server would wait for one that does not come without end.
func ignoreBodies(c clock.PassiveClock) func(*rest.Config, *http.Client) (server.Filter, error) {
	return func(*rest.Config, *http.Client) (server.Filter, error) {
		return func(_ logr.Logger, handler http.Handler) (http.Handler, error) {
			return serving.IgnoreBody(handler, c), nil
		}, nil
	}
}
