// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"net"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/internal/serving"
	"github.com/hexcovery/apikey-operator/internal/surface"
	"github.com/hexcovery/apikey-operator/webhook"
)

// AuthServer is the product's auth server, in this process.
type AuthServer struct {
	// Gateways is the host:port where gateways ask.
	Gateways string
	// GRPC is the host:port where Envoy asks over gRPC.
	GRPC string
	// Proxy is the host:port of the built-in proxy; empty without an upstream.
	Proxy string
}

// StartAuthServer serves until the test ends. Without sessions it accepts none. upstream
// is the URL that the built-in proxy is for; empty for no proxy.
func StartAuthServer(t testing.TB, registry webhook.Authenticator, sessions *Sessions, upstream string) *AuthServer {
	t.Helper()
	config := webhook.Config{
		Authenticator: registry, Surface: withDashboards{surface.Default()}, OrganizationHeader: webhook.DefaultOrganizationHeader,
		Gateways: Listen(t), GRPC: Listen(t), Operations: Listen(t),
		ShutdownTimeout: webhook.DefaultShutdownTimeout,
		Clock:           clock.RealClock{}, Log: logr.Discard(), Connections: serving.NewMetrics(), Gatherer: prometheus.NewRegistry(),
	}
	if sessions != nil {
		config.Sessions = sessions.verifier(t)
	}
	server := &AuthServer{Gateways: config.Gateways.Addr().String(), GRPC: config.GRPC.Addr().String()}
	if upstream != "" {
		u, err := webhook.ParseUpstream(upstream)
		if err != nil {
			t.Fatal(err)
		}
		config.Proxy, config.Upstream = Listen(t), u
		server.Proxy = config.Proxy.Addr().String()
	}
	s, err := webhook.New(config)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Errorf("the auth server ended with %v", err)
		}
	})
	return server
}

// Listen listens on a free port of the loopback interface until the test ends.
func Listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}
