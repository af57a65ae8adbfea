// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/scope"
	"github.com/hexcovery/apikey-operator/internal/serving"
	"github.com/hexcovery/apikey-operator/internal/surface"
)

// fakeRegistry knows what it was told.
type fakeRegistry struct {
	mu       sync.RWMutex
	grants   map[keys.Digest]registry.Grant
	verdicts map[keys.Digest]registry.Verdict
	notReady atomic.Bool
	// during is called while a request is being authenticated.
	during atomic.Pointer[func()]
}

func newFakeRegistry() *fakeRegistry {
	return &fakeRegistry{grants: map[keys.Digest]registry.Grant{}, verdicts: map[keys.Digest]registry.Verdict{}}
}

func (f *fakeRegistry) Authenticate(d keys.Digest) (registry.Grant, registry.Verdict) {
	if during := f.during.Load(); during != nil {
		(*during)()
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	if grant, ok := f.grants[d]; ok {
		return grant, registry.Accepted
	}
	if verdict, ok := f.verdicts[d]; ok {
		if verdict == registry.Expired { // it is known whose it was
			return registry.Grant{KeyID: d.KeyID(), Namespace: "team-a", Name: "old-agent", Organization: "acme", Scopes: scope.All()}, verdict
		}
		return registry.Grant{}, verdict
	}
	return registry.Grant{}, registry.Unknown
}

func (f *fakeRegistry) Ready() bool { return !f.notReady.Load() }

// mint makes a key.
func mint(t testing.TB) (string, keys.Digest) {
	t.Helper()
	plaintext, err := keys.Mint()
	if err != nil {
		t.Fatal(err)
	}
	data, err := plaintext.SecretData(nil, keys.Variables{})
	if err != nil {
		t.Fatal(err)
	}
	return string(data["api-key"]), plaintext.Digest()
}

// accept mints a key that is good for the scopes.
func (f *fakeRegistry) accept(t testing.TB, scopes ...v1alpha1.Scope) string {
	t.Helper()
	key, digest := mint(t)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.grants[digest] = registry.Grant{
		KeyID: digest.KeyID(), Namespace: "team-a", Name: "prod-agent", Organization: "acme", Scopes: scope.Of(scopes...),
	}
	return key
}

// judged mints a key that has a verdict other than Accepted.
func (f *fakeRegistry) judged(t testing.TB, verdict registry.Verdict) string {
	t.Helper()
	key, digest := mint(t)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.verdicts[digest] = verdict
	return key
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *syncBuffer) logger() logr.Logger {
	return funcr.New(func(prefix, args string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		fmt.Fprintln(&s.b, prefix, args)
	}, funcr.Options{Verbosity: 10})
}

// harness is a Server on real sockets.
type harness struct {
	registry                    *fakeRegistry
	server                      *Server
	log                         *syncBuffer
	gateways, proxy, operations string
	stop                        context.CancelFunc
	done                        chan error
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// prepare makes a Server that does not run yet. change may alter its configuration.
func prepare(t testing.TB, change func(*Config)) *harness {
	t.Helper()
	h := &harness{registry: newFakeRegistry(), log: &syncBuffer{}, done: make(chan error, 1)}
	metrics := prometheus.NewRegistry()
	config := Config{
		Authenticator: h.registry, Surface: surface.Default(), OrganizationHeader: DefaultOrganizationHeader,
		Gateways: listen(t), Operations: listen(t),
		ShutdownTimeout: DefaultShutdownTimeout,
		Clock:           clock.RealClock{}, Log: h.log.logger(), Connections: serving.NewMetrics(), Gatherer: metrics,
	}
	if change != nil {
		change(&config)
	}
	server, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	metrics.MustRegister(server, config.Connections)
	h.server = server
	h.gateways, h.operations = config.Gateways.Addr().String(), config.Operations.Addr().String()
	if config.Proxy != nil {
		h.proxy = config.Proxy.Addr().String()
	}
	return h
}

// start runs a Server until the test ends.
func start(t testing.TB, change func(*Config)) *harness {
	t.Helper()
	h := prepare(t, change)
	ctx, stop := context.WithCancel(t.Context())
	h.stop = stop
	go func() { h.done <- h.server.Run(ctx); close(h.done) }()
	t.Cleanup(func() {
		stop()
		if err := <-h.done; err != nil { // nil once a test has taken the error itself
			t.Errorf("the server ended with %v", err)
		}
	})
	return h
}

// withProxy adds a proxy to a configuration.
func withProxy(t testing.TB, upstream string) func(*Config) {
	t.Helper()
	u, err := ParseUpstream(upstream)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Proxy, c.Upstream = listen(t), u }
}

// exchange sends raw bytes and returns the response with its body read. The
// request has to ask for the connection to be closed.
func exchange(t testing.TB, address, request string) (*http.Response, string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return response, string(body)
}

// raw writes an HTTP/1.1 request as it would be on the wire.
func raw(requestLine string, headers ...string) string {
	return requestLine + " HTTP/1.1\r\nHost: auth\r\nConnection: close\r\n" + strings.Join(append(headers, "", ""), "\r\n")
}

// readReason takes the reason out of a problem, and checks that it is one.
func readReason(t testing.TB, response *http.Response, body string) string {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("status %d: %q is no problem body: %v", response.StatusCode, body, err)
	}
	if response.Header.Get("Content-Type") != "application/problem+json" || p.Status != response.StatusCode ||
		p.Title == "" || p.Detail == "" || !strings.HasSuffix(p.Type, "/"+p.Reason) {
		t.Errorf("status %d, %v: %+v", response.StatusCode, response.Header, p)
	}
	if got := response.Header.Get("WWW-Authenticate"); (got != "") != (response.StatusCode == http.StatusUnauthorized) {
		t.Errorf("status %d has WWW-Authenticate %q", response.StatusCode, got)
	}
	if got := response.Header.Get("Retry-After"); (got == "1") != (response.StatusCode == http.StatusServiceUnavailable) {
		t.Errorf("status %d has Retry-After %q", response.StatusCode, got)
	}
	checkNoIdentity(t, response)
	return p.Reason
}

func checkNoIdentity(t testing.TB, response *http.Response) {
	t.Helper()
	for _, name := range []string{DefaultOrganizationHeader, keyIDHeader, keyNameHeader} {
		if _, ok := response.Header[http.CanonicalHeaderKey(name)]; ok {
			t.Errorf("a refusal has %s", name)
		}
	}
	if response.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("status %d has Cache-Control %q", response.StatusCode, response.Header.Get("Cache-Control"))
	}
}

// scrape returns the metrics page.
func (h *harness) scrape(t testing.TB) string {
	t.Helper()
	_, body := exchange(t, h.operations, raw("GET /metrics"))
	return body
}
