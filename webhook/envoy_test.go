// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func TestEnvoyAsksWithTheRequestItself(t *testing.T) {
	h := start(t, nil)
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.AllScopes()...)
	for _, test := range []struct {
		line    string
		want    Reason
		headers []string
	}{
		{"POST /auth/envoy/v1/metrics", Allowed, nil},
		{"GET /auth/envoy/api/v1/annotations?tags=a,/b&u=http://h/x", Allowed, nil},
		{"DELETE /auth/envoy/api/v1/annotations/7", Allowed, nil},
		{"POST /auth/envoy" + export, Allowed, []string{"Content-Type: application/grpc"}},
		// The method is that of the question, and no header changes either.
		{"GET /auth/envoy/v1/metrics", MethodNotAllowed, nil},
		{"GET /auth/envoy/v1/metrics", BadGatewayRequest, []string{"X-Original-Method: POST"}},
		{"POST /auth/envoy/api/v1/sql", NotInSurface, nil},
		{"POST /auth/envoy/api/v1/sql", BadGatewayRequest, []string{"X-Forwarded-Uri: /v1/metrics"}},
		{"POST /auth/envoy/api/v1/sql", BadGatewayRequest, []string{"X-Original-URL: https://h/v1/metrics"}},
		{"POST /auth/envoy/v1/metrics", AmbiguousHeaders, []string{"X_Scope_OrgID: evil"}},
		{"POST /auth/envoy/v1/metrics", AmbiguousCredentials, []string{"X_API_Key: evil"}},
		{"POST /auth/envoy/v1/metrics", MethodOverridden, []string{"X-HTTP-Method-Override: DELETE"}},
		{"POST /auth/envoy/v1/metrics", UpgradeRefused, []string{"Upgrade: websocket"}},
		// What follows the prefix is judged as it was sent.
		{"POST /auth/envoy//v1/metrics", AmbiguousPath, nil},
		{"POST /auth/envoy/../envoy/v1/metrics", AmbiguousPath, nil},
		{"POST /auth/envoy/../original", AmbiguousPath, nil},
		{"POST /auth/envoy/../original", BadGatewayRequest, typical["/auth/original"]},
		{"POST /auth/envoy/%2e%2e/original", AmbiguousPath, nil},
		{"POST /auth/envoy/v1/%6detrics", AmbiguousPath, nil},
		{"POST /auth/envoy/", NotInSurface, nil},
		// No question below the prefix.
		{"POST /auth/envoy", NoSuchEndpoint, nil},
		{"POST /auth/envoyv1/metrics", NoSuchEndpoint, nil},
		{"OPTIONS /auth/envoy*", NoSuchEndpoint, nil},
		{"POST /auth/%65nvoy/v1/metrics", NoSuchEndpoint, nil},
		{"POST //auth/envoy/v1/metrics", NoSuchEndpoint, nil},
		{"POST http://h/auth/envoy/v1/metrics", NoSuchEndpoint, nil},
	} {
		response, body := exchange(t, h.gateways, raw(test.line, append([]string{key}, test.headers...)...))
		got := Allowed.String()
		if response.StatusCode != http.StatusOK {
			got = readReason(t, response, body)
		}
		if got != test.want.String() {
			t.Errorf("%s with %q: %s, want %s", test.line, test.headers, got, test.want)
		}
	}
}

func TestEnvoyIsToldWhatToRemoveAndToSet(t *testing.T) {
	h := start(t, nil)
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.AllScopes()...)
	response, _ := exchange(t, h.gateways, raw("POST /auth/envoy/v1/metrics", key, "X-Scope-OrgID: evil", "X_Rewrite_URL: /admin", "Cookie: a=b"))
	if response.StatusCode != http.StatusOK || response.Header.Get(DefaultOrganizationHeader) != "acme" ||
		len(response.Header[keyIDHeader]) != 1 || response.Header.Get(keyNameHeader) != "team-a/prod-agent" {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	removed := "," + response.Header.Get(envoyRemoveHeader) + ","
	for _, name := range []string{"x-api-key", "cookie", "x-rewrite-url", "x_rewrite_url", "x-original-url", "x-http-method-override"} {
		if !strings.Contains(removed, ","+name+",") {
			t.Errorf("%s is not removed: %s", name, removed)
		}
	}
	for _, name := range []string{"x-scope-orgid", "x-api-key-id", "x-api-key-name", "x-forwarded-for"} {
		if strings.Contains(removed, ","+name+",") {
			t.Errorf("%s is removed: %s", name, removed)
		}
	}
	// Who asks elsewhere is no Envoy.
	response, _ = exchange(t, h.gateways, raw("GET /auth/original", append([]string{key}, typical["/auth/original"]...)...))
	if response.Header[envoyRemoveHeader] != nil {
		t.Errorf("%v", response.Header)
	}
}
