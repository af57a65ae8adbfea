// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/internal/session"
	"github.com/hexcovery/apikey-operator/internal/surface"
	"github.com/hexcovery/apikey-operator/test/issuer"
)

// Dashboards is the path that sessions reach, with GET, and keys do not.
const Dashboards = "/dashboards"

// Sessions is an issuer of dashboard sessions, on a socket of its own.
type Sessions struct {
	issuer *issuer.Issuer
	key    *issuer.Key
}

// NewSessions starts an issuer that ends with the test.
func NewSessions(t testing.TB) *Sessions {
	t.Helper()
	key := issuer.NewKey(t, "current", "ES256")
	return &Sessions{issuer: issuer.Start(t, key), key: key}
}

// Token is a session of acme, with changes to its claims as issuer.Claims has them.
func (s *Sessions) Token(changes map[string]any) string {
	return s.key.Sign(s.issuer.Claims(time.Now(), changes))
}

// Forged is a session of acme that somebody else has signed.
func (s *Sessions) Forged(t testing.TB) string {
	t.Helper()
	return issuer.NewKey(t, s.key.ID, s.key.Algorithm).Sign(s.issuer.Claims(time.Now(), nil))
}

// verifier is what an auth server knows of the issuer.
func (s *Sessions) verifier(t testing.TB) *session.Verifier {
	t.Helper()
	verifier, err := session.NewVerifier(session.Config{
		Issuer: s.issuer.URL, Audience: issuer.Audience, OrganizationClaim: session.DefaultOrganizationClaim,
		ClockSkew: session.DefaultClockSkew, Clock: clock.RealClock{}, Log: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

// withDashboards is the surface that is built in, and Dashboards.
type withDashboards struct{ *surface.Table }

// Lookup implements webhook.Surface.
func (s withDashboards) Lookup(caller surface.Caller, method string, path surface.Path) (*surface.Rule, surface.Outcome) {
	if caller == surface.Session && method == "GET" && path == Dashboards {
		return &surface.Rule{Name: "dashboards", Sessions: true}, surface.Found
	}
	return s.Table.Lookup(caller, method, path)
}
