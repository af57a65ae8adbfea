// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hexcovery/apikey-operator/hack/gateways"
	"github.com/hexcovery/apikey-operator/test/gateways/replay"
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
		if c.Expect == "" {
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
	ring, upstream := newKeyring(t), startUpstream(t)
	product := startProduct(t, ring, upstream)
	attackAll(t, &Target{
		Name: "built-in proxy", Address: product.Proxy, HTTP2: product.Proxy, Upstream: upstream, Keys: ring, Decisions: product.Decisions,
	})
}

func newKeyring(t *testing.T) *Keyring {
	t.Helper()
	ring, err := NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func startProduct(t *testing.T, ring *Keyring, upstream *Upstream) *Product {
	t.Helper()
	product, err := StartProduct(ring, upstream.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := product.Close(); err != nil {
			t.Error(err)
		}
	})
	return product
}

func startUpstream(t *testing.T) *Upstream {
	t.Helper()
	upstream, err := StartUpstream()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(upstream.Close)
	return upstream
}

// attackAll sends every case, and fails for each that gets around the target.
func attackAll(t *testing.T, target *Target) {
	t.Helper()
	if _, problem := target.health("before"); problem != "" {
		t.Fatalf("%s does not work before anybody attacks it: %s", target.Name, problem)
	}
	var results []Result
	for _, c := range corpus(t) {
		if !target.Speaks(c) {
			continue
		}
		result, err := target.Attack(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, finding := range result.Findings {
			t.Errorf("%s: BYPASS by case %s (%s): %s", target.Name, c.ID, c.Why, finding)
		}
		results = append(results, result)
	}
	t.Log("\n" + summary(target.Name, results))
}

// passesTrailers are the gateways that have no way to drop trailers: HAProxy has one
// from 3.2 on. docs/gateways warns of it.
var passesTrailers = map[string]bool{"haproxy": true, "caddy": true}

// Nothing gets around real gateways with the configurations that are shipped.
func TestGateways(t *testing.T) {
	for _, program := range gateways.All() {
		t.Run(program.Name, func(t *testing.T) {
			t.Parallel()
			ring, upstream := newKeyring(t), startUpstream(t)
			product := startProduct(t, ring, upstream)
			gateway, err := program.Start(t.Context(), gateways.Options{
				AuthServer: product.Gateways, Upstream: upstream.Address(), Dir: t.TempDir(), Log: os.Stderr,
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
				Name: gateway.Name, Address: gateway.HTTP, HTTP2: gateway.H2C, Upstream: upstream, Keys: ring, Decisions: product.Decisions,
				PassesTrailers: passesTrailers[gateway.Name],
			})
		})
	}
}

// Nor around those that are replayed; what such a one makes of HTTP itself is what
// net/http makes of it, but what it asks, and what becomes of the answer, is theirs.
func TestReplays(t *testing.T) {
	for name, start := range map[string]func(*testing.T, replay.Options) (*replay.Gateway, error){
		"envoy-grpc": envoyWith("envoy-grpc.yaml"),
		"envoy-http": envoyWith("envoy-http.yaml"),
		"istio-grpc": istioWith("apikey-authserver-grpc"),
		"istio-http": istioWith("apikey-authserver-http"),
		"eg-grpc":    envoyGatewayWith("securitypolicy-grpc.yaml"),
		"eg-http":    envoyGatewayWith("securitypolicy-http.yaml"),
		"traefik": func(t *testing.T, options replay.Options) (*replay.Gateway, error) {
			return replay.StartTraefik(t.Context(), readConfig(t, "traefik/traefik.yaml"), readConfig(t, "traefik/dynamic.yaml"), options)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ring, upstream := newKeyring(t), startUpstream(t)
			product := startProduct(t, ring, upstream)
			gateway, err := start(t, replay.Options{AuthServer: product.Gateways, AuthServerGRPC: product.GRPC, Upstream: upstream.Address()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := gateway.Stop(); err != nil {
					t.Error(err)
				}
			})
			attackAll(t, &Target{
				Name: name, Address: gateway.Address, HTTP2: gateway.Address, Upstream: upstream, Keys: ring, Decisions: product.Decisions,
			})
		})
	}
}

func envoyWith(file string) func(*testing.T, replay.Options) (*replay.Gateway, error) {
	return func(t *testing.T, options replay.Options) (*replay.Gateway, error) {
		return replay.Start(t.Context(), readConfig(t, "envoy/"+file), options)
	}
}

func istioWith(provider string) func(*testing.T, replay.Options) (*replay.Gateway, error) {
	return func(t *testing.T, options replay.Options) (*replay.Gateway, error) {
		return replay.StartIstio(t.Context(), replay.IstioFiles{
			MeshConfig: readConfig(t, "istio/meshconfig.yaml"), AuthorizationPolicy: readConfig(t, "istio/authorizationpolicy.yaml"),
			VirtualService: readConfig(t, "istio/virtualservice.yaml"), EnvoyFilter: readConfig(t, "istio/envoyfilter.yaml"),
			Provider: provider,
		}, options)
	}
}

func envoyGatewayWith(policy string) func(*testing.T, replay.Options) (*replay.Gateway, error) {
	return func(t *testing.T, options replay.Options) (*replay.Gateway, error) {
		return replay.StartEnvoyGateway(t.Context(), replay.EnvoyGatewayFiles{
			Gateway: readConfig(t, "envoy-gateway/gateway.yaml"), HTTPRoute: readConfig(t, "envoy-gateway/httproute.yaml"),
			SecurityPolicy: readConfig(t, "envoy-gateway/"+policy),
		}, options)
	}
}

func readConfig(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../../config/gateways", file))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// summary has a line for each class.
func summary(name string, results []Result) string {
	classes := map[string][]Result{}
	for _, r := range results {
		classes[r.Case.Class] = append(classes[r.Case.Class], r)
	}
	var b strings.Builder
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		refused, passed, bypasses := map[string]int{}, 0, 0
		for _, r := range classes[class] {
			switch {
			case len(r.Findings) > 0:
				bypasses++
			case r.Refused == "":
				passed++
			default:
				refused[r.Refused]++
			}
		}
		gateway := refused["gateway"]
		delete(refused, "gateway")
		fmt.Fprintf(&b, "%s  %-16s %3d cases: %d bypasses, %d refused by the gateway, %d harmless as they passed", name, class, len(classes[class]), bypasses, gateway, passed)
		for _, reason := range slices.Sorted(maps.Keys(refused)) {
			fmt.Fprintf(&b, ", %d %s", refused[reason], reason)
		}
		b.WriteString("\n")
	}
	return b.String()
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
	for _, naive := range Naives() {
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			for id := range fallsFor(t, &naive, cases) {
				mu.Lock()
				by[id] = append(by[id], naive.Name)
				mu.Unlock()
			}
		})
	}
	running.Wait()
	for _, c := range cases {
		if c.Expect == legitimate {
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
func fallsFor(t *testing.T, naive *Naive, cases []*Case) map[string]bool {
	ring, upstream := newKeyring(t), startUpstream(t)
	server, err := naive.Start(ring, upstream.Address())
	if err != nil {
		t.Error(err)
		return nil
	}
	defer server.Close()
	target := &Target{Name: naive.Name, Address: server.Address(), HTTP2: server.Address(), Upstream: upstream, Keys: ring}
	falls := map[string]bool{}
	for _, c := range append(plain(), cases...) {
		result := target.strike(t, c)
		switch {
		case c.Expect == legitimate || c.Class == plainClass:
			if len(result.Findings) > 0 {
				t.Errorf("%s: it does not even treat %s as it should: %v", naive.Name, c.ID, result.Findings)
			}
		case len(result.Findings) > 0:
			falls[c.ID] = true
		}
	}
	return falls
}

// strike sends a case without what follows it: a naive gateway may be left in any state,
// but keeps no connection.
func (t *Target) strike(test *testing.T, c *Case) Result {
	test.Helper()
	t.Upstream.Take()
	result := Result{Case: c}
	var err error
	if result.Answer, err = c.send(t.address(c), t.Keys.placeholders(t.address(c))); err != nil {
		test.Errorf("%s: %v", c.ID, err)
	}
	if !t.Upstream.Quiet() {
		test.Errorf("%s: a connection to the upstream stays open", c.ID)
	}
	t.judge(&result, t.Upstream.Take())
	return result
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
		cases = append(cases, &Case{ID: id, Class: plainClass, Key: nobody, Request: request + "Connection: close\n"})
	}
	return cases
}
