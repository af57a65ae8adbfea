// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/credentials/insecure"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/surface"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

// counted has the registry count the requests of key, and say where they come from.
func (f *fakeRegistry) counted(t testing.TB, table *usage.Table, key string) {
	t.Helper()
	digest, err := keys.Parse(key)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	grant := f.grants[digest]
	grant.Counter = table.Hold("uid", grant.KeyID, true)
	f.grants[digest] = grant
}

func TestEveryContractCounts(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer upstream.Close()
	h := start(t, func(c *Config) { withProxy(t, upstream.URL)(c); withGRPC(t)(c) })
	table := usage.NewTable(clock.RealClock{})
	key, unknown := h.registry.accept(t, v1alpha1.ScopeIngest), h.registry.judged(t, 0)
	h.registry.counted(t, table, key)

	// A client cannot choose where it seems to come from.
	const forged = "X-Forwarded-For: 192.0.2.1"
	ask := func(address, line string, headers ...string) {
		for _, key := range []string{key, unknown} {
			exchange(t, address, raw(line, append(headers, "X-API-Key: "+key, forged)...))
		}
	}
	ask(h.gateways, "GET /auth/original", "X-Original-Method: POST", "X-Original-URI: /v1/logs")
	ask(h.gateways, "GET /auth/original", "X-Original-Method: POST", "X-Original-URI: /api/v1/dsl") // not its scope
	ask(h.gateways, "GET /auth/original", "X-Original-Method: GET", "X-Original-URI: /nowhere")     // not the surface
	ask(h.gateways, "GET /auth/original")                                                           // not the contract
	ask(h.gateways, "GET /auth/original-url", "X-Original-Method: POST", "X-Original-URL: http://a/v1/logs")
	ask(h.gateways, "GET /auth/forwarded", "X-Forwarded-Method: POST", "X-Forwarded-Uri: /v1/logs")
	ask(h.gateways, "POST /auth/envoy/v1/logs")
	ask(h.proxy, "POST /v1/logs")
	client := authv3.NewAuthorizationClient(dialGRPC(t, h.server.config.GRPC.Addr().String(), insecure.NewCredentials()))
	for _, key := range []string{key, unknown} {
		if _, err := client.Check(t.Context(), question("POST", "/v1/logs", "x-api-key: "+key, "x-forwarded-for: 192.0.2.1")); err != nil {
			t.Fatal(err)
		}
	}

	counts := table.Answer(&usage.Question{}).Versions
	if len(counts) != 1 || counts[0].Requests != 9 {
		t.Fatalf("%+v", counts)
	}
	var want []usage.Source
	for _, endpoint := range []string{"original", "original_url", "forwarded", "envoy", "proxy", "envoy_grpc"} {
		source := usage.Source{Endpoint: endpoint, Gateway: "127.0.0.1", Requests: 1}
		if endpoint == "original" {
			source.Requests = 4
		}
		want = append(want, source)
	}
	if !slices.Equal(counts[0].Sources, want) {
		t.Errorf("%+v", counts[0].Sources)
	}
}

// handover is a Usage that looks at the Server when its turn comes.
type handover struct{ called func() }

func (handover) Run(ctx context.Context)    { <-ctx.Done() }
func (h handover) HandOver(context.Context) { h.called() }

// What is handed over has every request that was answered.
func TestUsageIsHandedOverAfterTheLastRequest(t *testing.T) {
	var h *harness
	answered, handedOver := make(chan struct{}), make(chan bool, 1)
	h = prepare(t, func(c *Config) {
		c.Usage = handover{func() {
			select {
			case <-answered:
				ready, _ := h.server.ready()
				handedOver <- !ready
			default:
				handedOver <- false
			}
		}}
	})
	held := newGate()
	pass := held.pass
	h.registry.during.Store(&pass)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { h.done <- h.server.Run(ctx) }()
	key := h.registry.accept(t, v1alpha1.AllScopes()...)
	go func() {
		defer close(answered)
		exchange(t, h.gateways, raw("GET /auth/original", "X-API-Key: "+key, "X-Original-Method: POST", "X-Original-URI: /v1/logs"))
	}()
	<-held.entered
	stop()
	select {
	case <-handedOver:
		t.Fatal("handed over while a request was under way")
	case <-time.After(50 * time.Millisecond):
	}
	close(held.leave)
	if !<-handedOver {
		t.Error("handed over before the last request was answered, or while the replica was ready")
	}
	if err := <-h.done; err != nil {
		t.Error(err)
	}
}

func BenchmarkDecideAndCount(b *testing.B) {
	known := newFakeRegistry()
	d := &decider{authenticator: known, surface: surface.Default()}
	key := known.accept(b, v1alpha1.AllScopes()...)
	known.counted(b, usage.NewTable(clock.RealClock{}), key)
	header, m := typicalHeader(key), &endpointMetrics{name: "original"}
	r := &http.Request{RemoteAddr: "10.0.0.7:43210"}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		got := d.decide(b.Context(), header, &requestAttributes{method: "POST", target: "/v1/metrics", refusal: Allowed})
		if m.count(&got, now, r); got.reason != Allowed {
			b.Fatal(got)
		}
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	known := newFakeRegistry()
	d := &decider{authenticator: known, surface: surface.Default()}
	key := known.accept(t, v1alpha1.AllScopes()...)
	known.counted(t, usage.NewTable(clock.RealClock{}), key)
	header, m := typicalHeader(key), &endpointMetrics{name: "original"}
	r := &http.Request{RemoteAddr: "[2001:db8::7]:43210"}
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() {
		got := d.decide(t.Context(), header, &requestAttributes{method: "POST", target: "/v1/metrics", refusal: Allowed})
		m.count(&got, now, r)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
