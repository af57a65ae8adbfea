// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clients tests the product with the clients that people have, and with a real
// multi-tenant store behind it, all of it as processes of their own:
//
//	otlpclient, OpenTelemetry Collector, Prometheus
//	    └──► nginx, HAProxy, Caddy, or the built-in proxy
//	             ├──► a Service of auth servers, which know keys of a real control plane
//	             └──► recorder, which counts; or Prometheus behind prom-label-proxy
//
// It asks two things. Does every batch arrive, once and in the right organization, while
// keys are replaced and auth servers restart? And can one organization, with whatever
// combination of keys, headers and parameters, read or write what is another's?
package clients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/hexcovery/apikey-operator/hack/build"
	"github.com/hexcovery/apikey-operator/hack/gateways"
	"github.com/hexcovery/apikey-operator/hack/stack"
	"github.com/hexcovery/apikey-operator/test/gateways/clients/recorder"
	"github.com/hexcovery/apikey-operator/test/gateways/clients/service"
	"github.com/hexcovery/apikey-operator/test/gateways/relay"
	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

const (
	// replicas of the auth server: as many as config/authserver has.
	replicas = 3
	// drainDelay is how long a replica that stops still serves. It has to be longer than
	// a Service takes to learn of it, which is less here than in a cluster.
	drainDelay = 500 * time.Millisecond
	// builtIn is the name of the entrance that is the built-in proxy.
	builtIn = "builtin"
)

// world is what all tests run on.
var world struct {
	product *stack.Stack
	// store is what everything arrives at, by way of upstream.
	store    *recorder.Recorder
	upstream *upstream
	// authServers and proxies are the Services before the auth servers.
	authServers, proxies *relay.Relay
	// entrances are where clients send to: each gateway, and the built-in proxy.
	entrances map[string]entrance
	// otlpclient, collector and prometheus are the paths of programs.
	otlpclient, collector, prometheus string
	// root is the repository's.
	root string
	// minted are the keys that clients have got.
	mintedMu sync.Mutex
	minted   [][]byte
	// dir is for what tests write; dead with them.
	dir string
}

// entrance is where clients send to. Both are host:port.
type entrance struct{ http, h2c string }

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	ctrl.SetLogger(logr.Discard()) // the clients of hack/controlplane have nothing to say
	// What a developer has set for programs of their own is none of a test's.
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "OTEL_") {
			if err := os.Unsetenv(name); err != nil {
				return 1, err
			}
		}
	}
	if world.dir, err = os.MkdirTemp("", "clients-"); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(world.dir)) }()
	if world.root, err = build.Root(); err != nil {
		return 1, err
	}
	world.store = recorder.New()
	world.upstream = &upstream{recorder: world.store}
	upstream := rig.Serve(ctx, world.upstream)

	starting, startCtx := errgroup.WithContext(ctx)
	starting.Go(func() error { return bringAbout(startCtx) })
	starting.Go(func() error { return startProduct(startCtx, upstream) })
	err = starting.Wait()
	defer func() {
		if world.product != nil {
			err = errors.Join(err, world.product.Stop())
		}
	}()
	if err != nil {
		return 1, err
	}
	if err := startServices(ctx); err != nil {
		return 1, err
	}
	defer world.authServers.Close()
	defer world.proxies.Close()
	stop, err := startGateways(ctx, upstream)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return 1, err
	}
	if err := apply(ctx, "organizations.yaml", "keys.yaml"); err != nil {
		return 1, err
	}
	if err := awaitKeys(ctx); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// bringAbout builds the clients, or finds them.
func bringAbout(ctx context.Context) (err error) {
	world.otlpclient = filepath.Join(world.dir, "otlpclient")
	if err := command(ctx, "go", "build", "-o", world.otlpclient, "./otlpclient"); err != nil {
		return err
	}
	if world.collector, err = gateways.Binary(ctx, "collector", os.Stderr); err != nil {
		return err
	}
	if world.prometheus, err = gateways.Binary(ctx, "prometheus", os.Stderr); err != nil {
		return err
	}
	return nil
}

// startProduct starts the product as it is, with the surface of somebody who lets keys
// write to and query a Prometheus, too.
func startProduct(ctx context.Context, upstream string) (err error) {
	world.product, err = stack.Start(ctx, stack.Options{
		AuthServers: replicas,
		Upstream:    "http://" + upstream,
		AuthServerFlags: []string{
			"--surface=" + filepath.Join(world.root, "config", "gateways", "prometheus", "surface.yaml"),
			"--drain-delay=" + drainDelay.String(),
		},
		Log: os.Stderr,
	})
	return err
}

// startServices puts a Service before each port of the auth servers.
func startServices(ctx context.Context) (err error) {
	var gateways, proxies []service.Endpoint
	for _, server := range world.product.AuthServers {
		readyz := server.Operations + "/readyz"
		gateways = append(gateways, service.Endpoint{Address: strings.TrimPrefix(server.Gateways, "http://"), Readyz: readyz})
		proxies = append(proxies, service.Endpoint{Address: strings.TrimPrefix(server.Proxy, "http://"), Readyz: readyz})
	}
	if world.authServers, err = service.Start(ctx, gateways...); err != nil {
		return err
	}
	if world.proxies, err = service.Start(ctx, proxies...); err != nil {
		return err
	}
	return awaitReady(ctx, replicas)
}

// awaitReady waits until so many auth servers get new connections.
func awaitReady(ctx context.Context, count int) error {
	return eventually(ctx, func() (bool, error) {
		return len(world.authServers.Targets()) == count && len(world.proxies.Targets()) == count, nil
	})
}

// startGateways starts every gateway, before an upstream. They end with stop.
func startGateways(ctx context.Context, upstream string) (stop func() error, err error) {
	world.entrances = map[string]entrance{builtIn: {http: world.proxies.Address(), h2c: world.proxies.Address()}}
	var running []*gateways.Gateway
	stop = func() error {
		var errs []error
		for _, gateway := range running {
			errs = append(errs, gateway.Stop())
		}
		return errors.Join(errs...)
	}
	for _, program := range gateways.All() {
		dir := filepath.Join(world.dir, program.Name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return stop, err
		}
		gateway, err := program.Start(ctx, gateways.Options{
			AuthServer: world.authServers.Address(), Upstream: upstream, Dir: dir, Log: os.Stderr,
		})
		if err != nil {
			return stop, err
		}
		running = append(running, gateway)
		world.entrances[program.Name] = entrance{http: gateway.HTTP, h2c: gateway.H2C}
	}
	return stop, nil
}

// eventually asks another process, over and over, until the answer is yes. An error is
// no answer, and the last one is told when the time is up.
func eventually(ctx context.Context, ask func() (bool, error)) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		yes, err := ask()
		if yes {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

// within is the context of a test that may take so long that a test may take; what waits ends with it.
func within(t *testing.T, timeout time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), timeout, fmt.Errorf("it took more than %s", timeout))
	t.Cleanup(cancel)
	return ctx
}
