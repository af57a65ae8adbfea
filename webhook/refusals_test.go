// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"slices"
	"sync"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

// noted keeps what it is told.
type noted struct {
	mu    sync.Mutex
	kinds []audit.Kind
}

func (n *noted) Note(kind audit.Kind) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kinds = append(n.kinds, kind)
}

// last returns what it was told since the last time.
func (n *noted) last() []audit.Kind {
	n.mu.Lock()
	defer n.mu.Unlock()
	kinds := n.kinds
	n.kinds = nil
	return kinds
}

func TestEachRefusalIsTold(t *testing.T) {
	told := &noted{}
	h := start(t, func(c *Config) {
		withProxy(t, "http://127.0.0.1:1")(c)
		c.Refusals = told
	})
	narrow := h.registry.accept(t, v1alpha1.ScopeHeartbeats)
	expired := h.registry.judged(t, registry.Expired)
	unknown, _ := mint(t)
	known := audit.Kind{
		Object: audit.Object{Namespace: "team-a", Name: "prod-agent"}, Organization: "acme",
	}
	h.registry.mu.RLock()
	for digest := range h.registry.grants {
		known.KeyID = digest.KeyID()
	}
	former := audit.Kind{Object: audit.Object{Namespace: "team-a", Name: "old-agent"}, Organization: "acme"}
	for digest := range h.registry.verdicts {
		former.KeyID = digest.KeyID()
	}
	h.registry.mu.RUnlock()
	of := func(kind audit.Kind, endpoint string, reason Reason) audit.Kind {
		kind.Endpoint, kind.Reason = endpoint, reason.String()
		return kind
	}
	for _, test := range []struct {
		key, method, path string
		want              audit.Kind
	}{
		{narrow, "POST", "/api/v1/dsl", of(known, "", ScopeMissing)},
		{narrow, "GET", "/api/v1/sql", of(known, "", NotInSurface)},
		{narrow, "GET", "/secret-of-the-client/../x", of(known, "", AmbiguousPath)},
		{unknown, "POST", "/api/v1/dsl", of(audit.Kind{}, "", UnknownKey)},
		{expired, "POST", "/api/v1/dsl", of(former, "", ExpiredKey)},
		{"hxk_not-a-key-of-anybody", "POST", "/api/v1/dsl", of(audit.Kind{}, "", MalformedKey)},
		{"", "POST", "/api/v1/dsl", of(audit.Kind{}, "", MissingKey)},
	} {
		header := []string{"X-Original-Method: " + test.method, "X-Original-URI: " + test.path}
		credentials := []string(nil)
		if test.key != "" {
			credentials = []string{"X-API-Key: " + test.key}
		}
		exchange(t, h.gateways, raw("GET /auth/original", append(slices.Clone(credentials), header...)...))
		test.want.Endpoint = originalContract.endpoint
		if got := told.last(); len(got) != 1 || got[0] != test.want {
			t.Errorf("%s %s: %+v, want %+v", test.method, test.path, got, test.want)
		}
		exchange(t, h.proxy, raw(test.method+" "+test.path, credentials...))
		test.want.Endpoint = proxyEndpoint
		if got := told.last(); len(got) != 1 || got[0] != test.want {
			t.Errorf("proxy: %s %s: %+v, want %+v", test.method, test.path, got, test.want)
		}
	}
	heartbeat := []string{"X-API-Key: " + narrow, "X-Original-Method: POST", "X-Original-URI: /api/v1/heartbeats/nightly"}
	if response, _ := exchange(t, h.gateways, raw("GET /auth/original", heartbeat...)); response.StatusCode != 200 || len(told.last()) != 0 {
		t.Errorf("a request that is let in (%d) is told of", response.StatusCode)
	}
}

func TestEachRefusalOverGRPCIsTold(t *testing.T) {
	told := &noted{}
	m := newMetrics()
	m.refusals = told
	id, err := newIdentity(DefaultOrganizationHeader)
	if err != nil {
		t.Fatal(err)
	}
	e := &extAuthz{decider: &decider{authenticator: newFakeRegistry()}, identity: id, sanitizer: newHeaderSanitizer(id), metrics: m.endpoint(extAuthzEndpoint), clock: clock.RealClock{}}
	if _, err := e.Check(t.Context(), &authv3.CheckRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := told.last(); len(got) != 1 || got[0] != (audit.Kind{Endpoint: extAuthzEndpoint, Reason: MissingKey.String()}) {
		t.Errorf("%+v", got)
	}
}
