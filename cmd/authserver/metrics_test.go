// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	controllermetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hexcovery/apikey-operator/test/metrics"
)

// registered has the metrics of an auth server that has everything. There is no API server.
func registered(t *testing.T) *prometheus.Registry {
	t.Helper()
	registry, before := prometheus.NewRegistry(), controllermetrics.Registry
	controllermetrics.Registry = registry
	t.Cleanup(func() { controllermetrics.Registry = before })
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	options, err := parse([]string{
		"--audit-log", filepath.Join(t.TempDir(), "audit.log"),
		"--surface", "../../config/authserver/surface.yaml", "--oidc-issuer", "https://issuer.example", "--oidc-audience", "dashboard",
		"--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--usage-listen", "127.0.0.1:0",
		"--upstream", "http://127.0.0.1:1", "--proxy-listen", "127.0.0.1:0",
	}, environment(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	closeTrail, err := options.audit.open(t.Context(), options.leaseName)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeTrail)
	if _, _, err := newServer(t.Context(), options, &rest.Config{Host: "http://127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	return registry
}

func TestThePageHasTheMetricsOfTheAuthServer(t *testing.T) {
	metrics.Check(t, "../../docs/metrics.md", metrics.AuthServer, registered(t))
}
