// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	logs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

// connect returns a gRPC client of the gateway.
func (w *world) connect(t *testing.T) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(w.h2c, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// export sends a batch, with metadata in pairs, and returns what became of it.
func (w *world) export(t *testing.T, conn *grpc.ClientConn, bytes int, pairs ...string) ([]*rig.Arrival, *status.Status) {
	t.Helper()
	mark := newMark()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, append(pairs, strings.ToLower(rig.MarkHeader), mark)...)
	batch := &collector.ExportMetricsServiceRequest{ResourceMetrics: []*metrics.ResourceMetrics{{SchemaUrl: strings.Repeat("x", bytes)}}}
	_, err := collector.NewMetricsServiceClient(conn).Export(ctx, batch)
	return w.upstream.Arrivals(mark), status.Convert(err)
}

// refusedCall checks that a call did not reach the upstream, and what the client was
// told.
func refusedCall(t *testing.T, arrivals []*rig.Arrival, s *status.Status, code codes.Code, reason string) {
	t.Helper()
	if len(arrivals) != 0 {
		t.Errorf("it reached the upstream")
	}
	if s.Code() != code || !strings.Contains(s.Message(), reason) {
		t.Errorf("%s %q, want %s %s", s.Code(), s.Message(), code, reason)
	}
	// Some clients show the body of what is no gRPC answer. Most do not.
	if strings.Contains(s.Message(), "unexpected HTTP status") {
		t.Errorf("the gateway does not answer in gRPC: %q", s.Message())
	}
}

func allowedCall(t *testing.T, arrivals []*rig.Arrival, s *status.Status, key rig.Key) {
	t.Helper()
	if s.Code() != codes.OK || len(arrivals) != 1 {
		t.Fatalf("%s %q, and %d calls reached the upstream", s.Code(), s.Message(), len(arrivals))
	}
	checkArrival(t, arrivals[0], key)
	if arrivals[0].Target != collector.MetricsService_Export_FullMethodName || arrivals[0].Major != 2 {
		t.Errorf("%+v", arrivals[0])
	}
}

var grpcChecks = []check{
	{name: "gRPC: a good key", run: func(t *testing.T, w *world) {
		key, conn := w.registry.Accept(t, "acme"), w.connect(t)
		arrivals, s := w.export(t, conn, 10, "x-api-key", key.Plaintext)
		allowedCall(t, arrivals, s, key)
	}},
	{name: "gRPC: a batch of 3 MB", run: func(t *testing.T, w *world) {
		key, conn := w.registry.Accept(t, "acme"), w.connect(t)
		arrivals, s := w.export(t, conn, 3<<20, "x-api-key", key.Plaintext)
		allowedCall(t, arrivals, s, key)
	}},
	{name: "gRPC: no key, an unknown key, two keys: UNAUTHENTICATED", run: func(t *testing.T, w *world) {
		key, conn := w.registry.Accept(t, "acme"), w.connect(t)
		arrivals, s := w.export(t, conn, 10)
		refusedCall(t, arrivals, s, codes.Unauthenticated, "missing_key")
		arrivals, s = w.export(t, conn, 10, "x-api-key", rig.Mint(t).Plaintext)
		refusedCall(t, arrivals, s, codes.Unauthenticated, "unknown_key")
		arrivals, s = w.export(t, conn, 10, "x-api-key", key.Plaintext, "x-api-key", key.Plaintext)
		refusedCall(t, arrivals, s, codes.Unauthenticated, "ambiguous_credentials")
		arrivals, s = w.export(t, conn, 10, "authorization", "Bearer "+key.Plaintext)
		refusedCall(t, arrivals, s, codes.Unauthenticated, "wrong_header")
	}},
	{name: "gRPC: a scope that the key lacks: PERMISSION_DENIED", run: func(t *testing.T, w *world) {
		key, conn := w.registry.Accept(t, "acme", v1alpha1.ScopeQuery), w.connect(t)
		arrivals, s := w.export(t, conn, 10, "x-api-key", key.Plaintext)
		refusedCall(t, arrivals, s, codes.PermissionDenied, "scope_missing")
	}},
	{name: "gRPC: another service: PERMISSION_DENIED", run: func(t *testing.T, w *world) {
		key, conn := w.registry.Accept(t, "acme"), w.connect(t)
		ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "x-api-key", key.Plaintext), patience)
		defer cancel()
		for _, method := range []string{"/hexcovery.Admin/Drop", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Drop"} {
			err := conn.Invoke(ctx, method, &logs.ExportLogsServiceRequest{}, &logs.ExportLogsServiceResponse{})
			refusedCall(t, nil, status.Convert(err), codes.PermissionDenied, "not_in_surface")
		}
	}},
	{name: "gRPC: the auth server cannot decide: UNAVAILABLE", run: func(t *testing.T, w *world) {
		key, conn := w.registry.Accept(t, "acme"), w.connect(t)
		w.registry.Blind(true)
		defer w.registry.Blind(false)
		arrivals, s := w.export(t, conn, 10, "x-api-key", key.Plaintext)
		refusedCall(t, arrivals, s, codes.Unavailable, "undecided")
	}},
	{name: "gRPC: no auth server: UNAVAILABLE", apart: true, run: func(t *testing.T, w *world) {
		key, conn := w.registry.Accept(t, "acme"), w.connect(t)
		w.auth.Vanish()
		arrivals, s := w.export(t, conn, 10, "x-api-key", key.Plaintext)
		refusedCall(t, arrivals, s, codes.Unavailable, "undecided")
		w.auth.Lead(w.authServer)
		eventually(t, "the gateway asks again", func() bool {
			_, s := w.export(t, conn, 10, "x-api-key", key.Plaintext)
			return s.Code() == codes.OK
		})
	}},
	{name: "gRPC: something else in its place: UNAVAILABLE", apart: true, run: func(t *testing.T, w *world) {
		key, conn := w.registry.Accept(t, "acme"), w.connect(t)
		for _, bytes := range []string{reply("200 OK"), reply("204 No Content", organization, keyID, keyName), reply("302 Found", "Location: /")} {
			w.pretend(t, bytes, func() {
				arrivals, s := w.export(t, conn, 10, "x-api-key", key.Plaintext, "x-scope-orgid", evil)
				if s.Code() != codes.Unavailable || len(arrivals) != 0 {
					t.Errorf("%s %q, and %d calls reached the upstream", s.Code(), s.Message(), len(arrivals))
				}
			})
		}
	}},
	{name: "gRPC: identity in metadata does not arrive", run: func(t *testing.T, w *world) {
		key, conn := w.registry.Accept(t, "acme"), w.connect(t)
		for _, name := range []string{"x-scope-orgid", "x-api-key-id", "x-api-key-name"} {
			arrivals, s := w.export(t, conn, 10, "x-api-key", key.Plaintext, name, evil)
			allowedCall(t, arrivals, s, key)
		}
		for _, name := range []string{"x_scope_orgid", "x.scope.orgid", "x_api_key", "x_api_key_id", "cookie", "x-original-uri", "x-http-method-override"} {
			arrivals, _ := w.export(t, conn, 10, "x-api-key", key.Plaintext, name, evil)
			if lies := (&answer{arrivals: arrivals}).lies(); lies != nil {
				t.Errorf("%s arrived as %q", name, lies)
			}
		}
	}},
	{name: "gRPC: a revoked key is refused with the next call of the connection", run: func(t *testing.T, w *world) {
		key, conn := w.registry.Accept(t, "acme"), w.connect(t)
		for range 3 {
			arrivals, s := w.export(t, conn, 10, "x-api-key", key.Plaintext)
			allowedCall(t, arrivals, s, key)
		}
		w.registry.Revoke(key)
		arrivals, s := w.export(t, conn, 10, "x-api-key", key.Plaintext)
		refusedCall(t, arrivals, s, codes.Unauthenticated, "unknown_key")
	}},
	{name: "HTTP/2 that is no gRPC", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		w.http2(t, "/v1/metrics", "application/json", key.Plaintext).arrived(t, key)
		w.http2(t, "/v1/metrics", "application/json", rig.Mint(t).Plaintext).refused(t, http.StatusUnauthorized, "unknown_key")
		w.http2(t, "/api/v1/sql", "application/json", key.Plaintext).refused(t, http.StatusForbidden, "not_in_surface")
		if a := w.http2(t, "/v1//metrics", "application/json", key.Plaintext); !w.manners.normalizes {
			a.refused(t, http.StatusForbidden, "ambiguous_path")
		} else if arrived := a.arrived(t, key).Target; arrived != "/v1/metrics" {
			t.Errorf("/v1//metrics arrived as %s", arrived)
		}
	}},
	{name: "what is no gRPC is not told 200, whatever its path", run: func(t *testing.T, w *world) {
		unknown := rig.Mint(t)
		w.send(t, "POST", collector.MetricsService_Export_FullMethodName, "{}", with(unknown)).refused(t, http.StatusUnauthorized, "unknown_key")
		typed := w.send(t, "POST", collector.MetricsService_Export_FullMethodName, "{}", with(unknown), "Content-Type: application/grpc")
		if !w.manners.grpcByType {
			typed.refused(t, http.StatusUnauthorized, "unknown_key")
		} else if len(typed.arrivals) != 0 || typed.header.Get("Grpc-Status") != "16" {
			t.Errorf("%d %v", typed.status, typed.header)
		}
		for _, contentType := range []string{"application/grpc-web", "application/grpcx", "text/plain; application/grpc", "application/json"} {
			w.http2(t, collector.MetricsService_Export_FullMethodName, contentType, unknown.Plaintext).refused(t, http.StatusUnauthorized, "unknown_key")
		}
	}},
}

// http2 posts over HTTP/2 without TLS.
func (w *world) http2(t *testing.T, target, contentType, key string) *answer {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols), DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	mark := newMark()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.h2c+target, strings.NewReader("a batch"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", key)
	request.Header.Set("Content-Type", contentType)
	request.Header.Set(rig.MarkHeader, mark)
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &answer{status: response.StatusCode, header: response.Header, body: string(body), arrivals: w.upstream.Arrivals(mark)}
}
