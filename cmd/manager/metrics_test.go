// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/hexcovery/apikey-operator/controllers"
	"github.com/hexcovery/apikey-operator/internal/audit/trail"
	"github.com/hexcovery/apikey-operator/test/metrics"
)

// discovery is an API server that can only say which resources there are: all that a
// manager has a type for.
func discovery(t *testing.T) *rest.Config {
	t.Helper()
	scheme, err := controllers.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/apis/"), "/api/")
		version, err := schema.ParseGroupVersion(path)
		if err != nil || version.Version == "" {
			http.NotFound(w, r)
			return
		}
		list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: path}
		for kind := range scheme.KnownTypes(version) {
			plural, _ := meta.UnsafeGuessKindToResource(version.WithKind(kind))
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: plural.Resource, Kind: kind, Namespaced: true})
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}

// registered has the metrics of a manager that has everything, and was never started.
func registered(t *testing.T) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewRegistry()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	audit, err := trail.Open(t.Context(), filepath.Join(t.TempDir(), "audit.log"), "manager", registry, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := audit.Close(); err != nil {
			t.Error(err)
		}
	})
	options := controllers.DefaultOptions()
	options.Audit, options.Metrics, options.KeyMetricsLimit = audit, registry, 1
	options.LeaderElection, options.SharedProcess = false, true
	options.MetricsAddress, options.ProbeAddress = "0", "0"
	if _, err := controllers.NewManager(t.Context(), discovery(t), options); err != nil {
		t.Fatal(err)
	}
	return registry
}

func TestThePageHasTheMetricsOfTheManager(t *testing.T) {
	metrics.Check(t, "../../docs/metrics.md", metrics.Manager, registered(t))
}
