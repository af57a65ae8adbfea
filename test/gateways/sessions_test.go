// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"net/http"
	"testing"
	"time"

	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

var sessionChecks = []check{
	{name: "a session reaches what is for sessions, as its organization", run: func(t *testing.T, w *world) {
		token := w.sessions.Token(nil)
		var a *answer
		// The auth server asks its issuer for the keys once it runs, and until then cannot
		// decide.
		eventually(t, "the auth server has the issuer's keys", func() bool {
			a = w.send(t, "GET", rig.Dashboards, "", bearer(token), "X-Scope-OrgID: evil", "X-API-Key-ID: evil", "X-API-Key-Name: evil")
			return a.status != http.StatusServiceUnavailable
		})
		arrival := a.arrived(t, rig.Key{Plaintext: "hxk_", ID: "session", Name: "session", Organization: "acme"})
		if got := arrival.Header["Authorization"]; a.status != http.StatusOK || len(got) != 1 || got[0] != "Bearer "+token {
			t.Errorf("%d; the upstream got Authorization %d times, or another", a.status, len(got))
		}
	}},
	{name: "a session that is none, or not only one: 401", run: func(t *testing.T, w *world) {
		w.send(t, "GET", rig.Dashboards, "", bearer(w.sessions.Forged(t))).refused(t, http.StatusUnauthorized, "invalid_session")
		expired := w.sessions.Token(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})
		w.send(t, "GET", rig.Dashboards, "", bearer(expired)).refused(t, http.StatusUnauthorized, "expired_session")
		w.send(t, "GET", rig.Dashboards, "", bearer(w.sessions.Token(map[string]any{"organization": "acme|globex-7"}))).refused(t, http.StatusUnauthorized, "invalid_session")
		key := w.registry.Accept(t, "acme")
		w.send(t, "GET", rig.Dashboards, "", bearer(w.sessions.Token(nil)), with(key)).refused(t, http.StatusUnauthorized, "ambiguous_credentials")
	}},
	{name: "sessions and keys each reach what is theirs: 403", run: func(t *testing.T, w *world) {
		w.send(t, "GET", "/api/v1/annotations", "", bearer(w.sessions.Token(nil))).refused(t, http.StatusForbidden, "session_not_permitted")
		w.send(t, "GET", rig.Dashboards, "", with(w.registry.Accept(t, "acme"))).refused(t, http.StatusForbidden, "not_in_surface")
	}},
}

func bearer(token string) string { return "Authorization: Bearer " + token }
