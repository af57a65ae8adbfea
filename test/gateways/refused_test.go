// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"net/http"
	"testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

var refusedChecks = []check{
	{name: "no key: 401", run: func(t *testing.T, w *world) {
		w.send(t, "POST", "/v1/metrics", "a batch").refused(t, http.StatusUnauthorized, "missing_key")
	}},
	{name: "an unknown key: 401", run: func(t *testing.T, w *world) {
		w.send(t, "POST", "/v1/metrics", "a batch", with(rig.Mint(t))).refused(t, http.StatusUnauthorized, "unknown_key")
	}},
	{name: "an expired key: 401", run: func(t *testing.T, w *world) {
		w.send(t, "POST", "/v1/metrics", "a batch", with(w.registry.Judged(t, registry.Expired))).refused(t, http.StatusUnauthorized, "expired_key")
	}},
	{name: "a key as a bearer token: 401", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		w.send(t, "POST", "/v1/metrics", "a batch", "Authorization: Bearer "+key.Plaintext).refused(t, http.StatusUnauthorized, "wrong_header")
	}},
	{name: "two keys, or a key and a session: 401", run: func(t *testing.T, w *world) {
		one, two := w.registry.Accept(t, "acme"), w.registry.Accept(t, "globex-7")
		for _, headers := range [][]string{
			{with(one), with(two)},
			{with(one), with(one)},
			{with(one), "x-api-key: " + two.Plaintext},
			{with(one) + ", " + two.Plaintext},
			{with(one), "Authorization: Bearer ey.ey.sig"},
			{with(one), "X-API-Key:"},
		} {
			w.send(t, "POST", "/v1/metrics", "a batch", headers...).refused(t, http.StatusUnauthorized, "ambiguous_credentials")
		}
	}},
	{name: "a key under a look-alike name: 401", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, name := range []string{"X_API_Key", "X.API.Key", "X-API_Key"} {
			a := w.send(t, "POST", "/v1/metrics", "a batch", name+": "+key.Plaintext)
			a.notAllowed(t)
			if a.status != http.StatusUnauthorized && (a.status != http.StatusBadRequest || !w.manners.refusesNames) {
				t.Errorf("%s: %d", name, a.status)
			}
		}
	}},
	{name: "a scope that the key lacks: 403", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme", v1alpha1.ScopeAnnotations)
		w.send(t, "POST", "/v1/metrics", "a batch", with(key)).refused(t, http.StatusForbidden, "scope_missing")
	}},
	{name: "a path that no key reaches: 403", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, target := range []string{"/", "/api/v1/sql", "/api/v1/admin?x=/v1/metrics", "/v1/metrics/", "/_hexcovery/other", "/auth/original", "/auth/forwarded"} {
			w.send(t, "POST", target, "{}", with(key)).refused(t, http.StatusForbidden, "not_in_surface")
		}
	}},
	{name: "what the gateway is made of: not for clients", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, target := range []string{"/_hexcovery/auth", "/_hexcovery/auth?x=/v1/metrics", "/@hexcovery_problem_503", "/auth/original/v1/metrics", "/auth/envoy/v1/metrics"} {
			w.send(t, "POST", target, "{}", with(key)).notAllowed(t)
			w.send(t, "GET", target, "").notAllowed(t)
		}
	}},
	{name: "a large request is refused before its body", run: func(t *testing.T, w *world) {
		a := w.send(t, "POST", "/v1/metrics", "", with(rig.Mint(t)), "Content-Length: 8000000")
		a.refused(t, http.StatusUnauthorized, "unknown_key")
	}},
}
