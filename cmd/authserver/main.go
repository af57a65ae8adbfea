// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Command authserver is the auth webhook: gateways ask it about every request, or
// it is the reverse proxy itself. It knows hashes of keys only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/connection"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/serving"
	"github.com/hexcovery/apikey-operator/internal/surface"
	"github.com/hexcovery/apikey-operator/webhook"
)

func main() {
	code, err := execute(os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintf(os.Stderr, "authserver: %v\n", err)
	}
	os.Exit(code)
}

// execute does what the command line says, and returns what to exit with.
func execute(arguments []string, environment func(string) string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	options, err := parse(arguments, environment, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK, nil
	case err != nil:
		return exitUsage, err
	case options.check != nil:
		return options.check.run(stdin, stdout)
	}
	if err := run(ctrl.SetupSignalHandler(), options); err != nil {
		return exitFailed, err
	}
	return exitOK, nil
}

func run(ctx context.Context, options *options) error {
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&options.logging)))
	closeTrail, err := options.audit.open(ctx, options.leaseName)
	if err != nil {
		return err
	}
	defer closeTrail()
	klog.SetLogger(ctrl.Log.WithName("client"))

	cluster, err := clusterConfig()
	if err != nil {
		return err
	}
	server, replica, err := newServer(ctx, options, cluster)
	if err != nil {
		return err
	}
	return webhook.Run(ctx, server, replica)
}

// newServer makes all that serves, and registers its metrics.
func newServer(ctx context.Context, options *options, cluster *rest.Config) (*webhook.Server, *registry.Replica, error) {
	counting, err := openUsage(ctx, &options.usage)
	if err != nil {
		return nil, nil, err
	}
	replica, err := newReplica(options, cluster, counting)
	if err != nil {
		return nil, nil, err
	}
	config, err := serverConfig(ctx, options)
	if err != nil {
		return nil, nil, err
	}
	config.Authenticator = replica
	config.Connections = serving.NewMetrics()
	if config.Usage, err = counting.serve(cluster, replica, config.Connections); err != nil {
		return nil, nil, err
	}
	server, err := webhook.New(config)
	if err != nil {
		return nil, nil, err
	}
	// Not every surface has metrics, and sessions and usage are not always there.
	for _, part := range []any{collectors.NewBuildInfoCollector(), server, config.Connections, replica, config.Surface, config.Sessions, config.Usage} {
		if c, ok := part.(prometheus.Collector); ok {
			if err := metrics.Registry.Register(c); err != nil {
				return nil, nil, fmt.Errorf("register metrics: %w", err)
			}
		}
	}
	return server, replica, nil
}

func clusterConfig() (*rest.Config, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w; run in a cluster, or set --kubeconfig", err)
	}
	// What is sent is a few writes of one Lease, which must never queue behind a limit.
	config.QPS = -1
	rest.AddUserAgent(config, "apikey-authserver")
	connection.Harden(config)
	return config, nil
}

func newReplica(options *options, cluster *rest.Config, counting *counting) (*registry.Replica, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), coordinationv1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("scheme: %w", err)
	}
	c, err := client.NewWithWatch(cluster, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	config := registry.ReplicaConfig{
		Client:       c,
		Namespace:    options.leaseNamespace,
		LeaseName:    options.leaseName,
		MaxStaleness: options.maxStaleness,
		SuspectAfter: options.suspectAfter,
		Clock:        clock.RealClock{},
		Log:          ctrl.Log.WithName("registry"),
	}
	counting.announce(&config)
	return registry.NewReplica(config)
}

// serverConfig reads the files and opens the sockets that the flags name.
func serverConfig(ctx context.Context, options *options) (webhook.Config, error) {
	config := webhook.Config{
		Surface:            surface.Default(),
		OrganizationHeader: options.organizationHeader,
		DrainDelay:         options.drainDelay,
		ShutdownTimeout:    options.shutdownTimeout,
		Clock:              clock.RealClock{},
		Log:                ctrl.Log.WithName("server"),
		Refusals:           options.audit.refusals,
		Gatherer:           metrics.Registry,
	}
	options.connections.apply(&config)
	var err error
	if options.surface != "" {
		if config.Surface, err = openSurface(options); err != nil {
			return config, fmt.Errorf("--surface: %w", err)
		}
	}
	if config.Sessions, err = options.oidc.verifier(); err != nil {
		return config, err
	}
	if options.tlsDirectory != "" {
		if config.Certificates, err = webhook.LoadCertificates(options.tlsDirectory); err != nil {
			return config, fmt.Errorf("--tls-cert-dir: %w", err)
		}
	}
	if options.upstreamCA != "" {
		if config.UpstreamRoots, err = webhook.LoadRoots(options.upstreamCA); err != nil {
			return config, fmt.Errorf("--upstream-ca: %w", err)
		}
	}
	if config.Gateways, err = listen(ctx, "--listen", options.listen); err != nil {
		return config, err
	}
	if options.grpcListen != "" {
		if config.GRPC, err = listen(ctx, "--grpc-listen", options.grpcListen); err != nil {
			return config, err
		}
	}
	if options.upstream != nil {
		config.Upstream = options.upstream
		if config.Proxy, err = listen(ctx, "--proxy-listen", options.proxyListen); err != nil {
			return config, err
		}
	}
	config.Operations, err = listen(ctx, "--ops-listen", options.opsListen)
	return config, err
}

func openSurface(options *options) (*surface.File, error) {
	return surface.Open(surface.FileConfig{
		Name: options.surface, Log: ctrl.Log.WithName("surface"),
		Changed: options.audit.surfaceChanged(options.surface),
	})
}

func listen(ctx context.Context, flag, address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", flag, address, err)
	}
	return listener, nil
}
