// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hexcovery/apikey-operator/hack/gateways"
	"github.com/hexcovery/apikey-operator/test/gateways/replay"
	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

func corpus(t *testing.T) []*Case {
	t.Helper()
	cases, err := Load("../corpus")
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

func TestCorpusIsLargeEnough(t *testing.T) {
	attacks := 0
	for _, c := range corpus(t) {
		if c.Class != legitimate {
			attacks++
		}
	}
	if attacks < 80 {
		t.Errorf("%d attacks", attacks)
	}
}

// Nothing gets around the product's own proxy.
func TestBuiltInProxy(t *testing.T) {
	t.Parallel()
	ring, upstream := NewKeyring(t), StartUpstream(t)
	product := rig.StartAuthServer(t, ring, nil, "http://"+upstream.Address)
	attackAll(t, &Target{Name: "built-in proxy", Address: product.Proxy, HTTP2: product.Proxy, Upstream: upstream, Keys: ring})
}

// attackAll sends every case, and fails for each that gets around the target.
func attackAll(t *testing.T, target *Target) {
	t.Helper()
	if _, problem := target.health("before"); problem != "" {
		t.Fatalf("%s does not work before anybody attacks it: %s", target.Name, problem)
	}
	outcomes := map[string]map[string]int{} // by class
	for _, c := range corpus(t) {
		if !target.Speaks(c) {
			continue
		}
		arrived, findings, err := target.Attack(c)
		if err != nil {
			t.Fatal(err)
		}
		outcome := "refused"
		switch {
		case len(findings) > 0:
			outcome = "bypasses"
		case arrived > 0:
			outcome = "harmless as they passed"
		}
		if outcomes[c.Class] == nil {
			outcomes[c.Class] = map[string]int{}
		}
		outcomes[c.Class][outcome]++
		for _, finding := range findings {
			t.Errorf("%s: BYPASS by case %s (%s): %s", target.Name, c.ID, c.Why, finding)
		}
	}
	for _, class := range slices.Sorted(maps.Keys(outcomes)) {
		t.Logf("%s  %-16s %v", target.Name, class, outcomes[class])
	}
}

// passesTrailers are the gateways that have no way to drop trailers: HAProxy has one
// from 3.2 on. docs/gateways warns of it.
var passesTrailers = map[string]bool{"haproxy": true, "caddy": true}

// Nothing gets around real gateways with the configurations that are shipped.
func TestGateways(t *testing.T) {
	for _, program := range gateways.All() {
		t.Run(program.Name, func(t *testing.T) {
			t.Parallel()
			ring, upstream := NewKeyring(t), StartUpstream(t)
			product := rig.StartAuthServer(t, ring, nil, "")
			gateway, err := program.Start(t.Context(), gateways.Options{
				AuthServer: product.Gateways, Upstream: upstream.Address, Dir: t.TempDir(), Log: os.Stderr,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := gateway.Stop(); err != nil {
					t.Errorf("the gateway did not live to the end: %v", err)
				}
			})
			attackAll(t, &Target{
				Name: gateway.Name, Address: gateway.HTTP, HTTP2: gateway.H2C, Upstream: upstream, Keys: ring,
				PassesTrailers: passesTrailers[gateway.Name],
			})
		})
	}
}

// Nor around those that are replayed; what such a one makes of HTTP itself is what
// net/http makes of it, but what it asks, and what becomes of the answer, is theirs.
func TestReplays(t *testing.T) {
	for _, program := range replay.All() {
		t.Run(program.Name, func(t *testing.T) {
			t.Parallel()
			ring, upstream := NewKeyring(t), StartUpstream(t)
			product := rig.StartAuthServer(t, ring, nil, "")
			authServer := product.Gateways
			if program.GRPC {
				authServer = product.GRPC
			}
			files := os.DirFS(filepath.Join("../../../config/gateways", program.Folder))
			address, err := program.Start(t.Context(), files, replay.Options{AuthServer: authServer, Upstream: upstream.Address})
			if err != nil {
				t.Fatal(err)
			}
			attackAll(t, &Target{Name: program.Name, Address: address, HTTP2: address, Upstream: upstream, Keys: ring})
		})
	}
}

// Every attack works somewhere: one that was never seen to succeed proves nothing. And
// every naive gateway refuses what no trick is needed to refuse, and lets the good pass.
func TestEveryAttackWorksOnSomeNaiveGateway(t *testing.T) {
	t.Parallel()
	cases := corpus(t)
	var mu sync.Mutex
	by := map[string][]string{}
	var running sync.WaitGroup
	// Several at once: most of the time they wait for what never comes.
	slots := make(chan struct{}, 16)
	for name, naive := range Naives {
		ring, upstream := NewKeyring(t), StartUpstream(t)
		address := naive.Start(t, ring, upstream.Address).Address
		target := &Target{Name: name, Address: address, HTTP2: address, Upstream: upstream, Keys: ring}
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			for id := range target.fallsFor(t, cases) {
				mu.Lock()
				by[id] = append(by[id], name)
				mu.Unlock()
			}
		})
	}
	running.Wait()
	for _, c := range cases {
		if c.Class == legitimate {
			continue
		}
		if len(by[c.ID]) == 0 {
			t.Errorf("case %s was never seen to succeed: it proves nothing", c.ID)
			continue
		}
		slices.Sort(by[c.ID])
		t.Logf("%-28s %s", c.ID, strings.Join(by[c.ID], " "))
	}
}

// fallsFor returns the cases that get around a naive gateway.
func (t *Target) fallsFor(test *testing.T, cases []*Case) map[string]bool {
	falls := map[string]bool{}
	for _, c := range append(plain(), cases...) {
		findings := t.strike(test, c)
		switch {
		case c.Class == legitimate || c.Class == plainClass:
			if len(findings) > 0 {
				test.Errorf("%s: it does not even treat %s as it should: %v", t.Name, c.ID, findings)
			}
		case len(findings) > 0:
			falls[c.ID] = true
		}
	}
	return falls
}

// strike sends a case without what follows it: a naive gateway may be left in any state,
// but keeps no connection.
func (t *Target) strike(test *testing.T, c *Case) []string {
	test.Helper()
	t.Upstream.Take()
	answer, err := t.send(c)
	if err != nil {
		test.Error(err)
	}
	if !t.Upstream.Quiet(longPatience) {
		test.Errorf("%s: a connection to the upstream stays open", c.ID)
	}
	return t.judge(c, answer, t.Upstream.Take())
}

const plainClass = "plain"

// plain are the requests that any gateway refuses that asks at all.
func plain() []*Case {
	var cases []*Case
	for id, request := range map[string]string{
		"no-key":          "POST /v1/metrics HTTP/1.1\nHost: h\n",
		"unknown-key":     "POST /v1/metrics HTTP/1.1\nHost: h\nX-API-Key: ${UNKNOWN_KEY}\n",
		"no-surface":      "POST /api/v1/sql HTTP/1.1\nHost: h\nX-API-Key: ${KEY}\n",
		"other-no-suface": "GET /api/v1/admin/users HTTP/1.1\nHost: h\nX-API-Key: ${OTHER_KEY}\n",
	} {
		cases = append(cases, &Case{ID: id, Class: plainClass, Key: nobody, Request: crlf(request + "Connection: close")})
	}
	return cases
}
