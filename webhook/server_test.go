// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func (h *harness) probe(t testing.TB, path string) (int, string) {
	t.Helper()
	response, body := exchange(t, h.operations, raw("GET "+path))
	return response.StatusCode, body
}

func TestReadinessFollowsTheRegistry(t *testing.T) {
	h := start(t, nil)
	if code, _ := h.probe(t, "/readyz"); code != http.StatusOK {
		t.Errorf("ready: %d", code)
	}
	h.registry.notReady.Store(true)
	if code, body := h.probe(t, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "registry") {
		t.Errorf("not ready: %d %s", code, body)
	}
	if code, _ := h.probe(t, "/livez"); code != http.StatusOK {
		t.Errorf("a replica that is not ready was called dead: %d", code)
	}
	// Probes and metrics are not for clients.
	for _, path := range []string{"/readyz", "/livez", "/metrics"} {
		if response, _ := exchange(t, h.gateways, raw("GET "+path)); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s on the listener for gateways: %d", path, response.StatusCode)
		}
	}
}

// gate holds requests in the middle.
type gate struct{ entered, leave chan struct{} }

func newGate() *gate { return &gate{make(chan struct{}, 10), make(chan struct{})} }

func (g *gate) pass() {
	g.entered <- struct{}{}
	<-g.leave
}

func TestDrainAnswersWhatIsInFlight(t *testing.T) {
	upstreamGate, authenticatorGate := newGate(), newGate()
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { upstreamGate.pass() }))
	t.Cleanup(upstream.Close)
	fake := testingclock.NewFakeClock(time.Now())
	h := start(t, func(c *Config) {
		withProxy(t, upstream.URL)(c)
		c.Clock, c.DrainDelay = fake, time.Minute
	})
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.AllScopes()...)
	ask := func() string { return h.ask(t, "/auth/original", append(typical["/auth/original"], key)...) }

	// One request waits for the upstream; later one waits for the registry.
	answers := make(chan int, 2)
	send := func(address, request string) {
		response, _ := exchange(t, address, request)
		answers <- response.StatusCode
	}
	go send(h.proxy, raw("GET /api/v1/annotations", key))
	<-upstreamGate.entered

	h.stop()
	for code := http.StatusOK; code == http.StatusOK; {
		code, _ = h.probe(t, "/readyz")
	}
	if _, body := h.probe(t, "/readyz"); !strings.Contains(body, "draining") {
		t.Errorf("%s", body)
	}
	if got := ask(); got != Allowed.String() {
		t.Errorf("while it drains: %s", got)
	}
	checkConnectionIsClosed(t, h)

	hold := authenticatorGate.pass
	h.registry.during.Store(&hold)
	go send(h.gateways, raw("GET /auth/original", append(typical["/auth/original"], key)...))
	<-authenticatorGate.entered

	fake.Step(time.Minute)
	waitRefused(t, h.gateways)
	waitRefused(t, h.proxy)
	select {
	case err := <-h.done:
		t.Fatalf("stopped with two requests in flight: %v", err)
	default:
	}
	close(upstreamGate.leave)
	close(authenticatorGate.leave)
	for range 2 {
		if code := <-answers; code != http.StatusOK {
			t.Errorf("a request in flight was answered with %d", code)
		}
	}
	if err := <-h.done; err != nil {
		t.Error(err)
	}
}

// checkConnectionIsClosed proves that whoever keeps a connection is told to make
// its next one elsewhere, in HTTP/1.1 and in HTTP/2.
func checkConnectionIsClosed(t *testing.T, h *harness) {
	t.Helper()
	for address, client := range map[string]*http.Client{h.gateways: {Transport: &http.Transport{}}, h.proxy: h2cClient(t)} {
		closed := make(chan struct{})
		client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			return &watchedConn{Conn: conn, closed: closed}, err
		}
		response, err := client.Get("http://" + address + "/auth/original")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		<-closed
	}
}

// watchedConn tells when it was closed.
type watchedConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *watchedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// waitRefused returns when nobody listens any more.
func waitRefused(t *testing.T, address string) {
	t.Helper()
	for {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			return
		}
		conn.Close()
	}
}

func TestShutdownCutsOffWhatDoesNotEnd(t *testing.T) {
	stuck := newGate()
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		stuck.entered <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(upstream.Close)
	h := start(t, func(c *Config) {
		withProxy(t, upstream.URL)(c)
		c.ShutdownTimeout = 10 * time.Millisecond
	})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, raw("GET /api/v1/annotations", "X-API-Key: "+h.registry.accept(t, v1alpha1.AllScopes()...))); err != nil {
		t.Fatal(err)
	}
	<-stuck.entered
	h.stop()
	if err := <-h.done; err != nil {
		t.Error(err)
	}
	if log := h.log.String(); !strings.Contains(log, "shutdown was not graceful") || !strings.Contains(log, "proxy") {
		t.Errorf("%s", log)
	}
}

func TestRunEndsWhenAListenerFails(t *testing.T) {
	h := start(t, nil)
	h.server.config.Gateways.Close()
	if err := <-h.done; err == nil || !strings.Contains(err.Error(), "gateways") {
		t.Errorf("%v", err)
	}
	waitRefused(t, h.operations)
}

func TestNewRefusesHalfAProxy(t *testing.T) {
	if _, err := New(Config{Proxy: listen(t), OrganizationHeader: "X-A"}); err == nil {
		t.Error("a proxy without an upstream")
	}
}

// fakeReplica records what it is told, and when.
type fakeReplica struct {
	mu     sync.Mutex
	events []string
	fail   chan error
	check  func(event string)
}

func (f *fakeReplica) record(event string) {
	f.check(event)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, event)
}

func (f *fakeReplica) Run(ctx context.Context) error {
	f.record("joined")
	select {
	case <-ctx.Done():
		f.record("stopped")
		return nil
	case err := <-f.fail:
		return err
	}
}

func (f *fakeReplica) Leave(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.record("left")
	return nil
}

// The replica is a member for as long as anybody is answered, and nobody is
// answered any more when it leaves.
func TestRunLeavesLast(t *testing.T) {
	h := prepare(t, nil)
	replica := &fakeReplica{fail: make(chan error)}
	joined := make(chan struct{})
	replica.check = func(event string) {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.gateways)
		if err == nil {
			conn.Close()
		}
		if serving := err == nil; serving != (event == "joined") {
			t.Errorf("%s: serving %v", event, serving)
		}
		if event == "joined" {
			close(joined)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() { <-joined; stop() }()
	if err := Run(ctx, h.server, replica); err != nil {
		t.Error(err)
	}
	if want := []string{"joined", "stopped", "left"}; !slices.Equal(replica.events, want) {
		t.Errorf("%v, want %v", replica.events, want)
	}
}

func TestRunEndsWhenTheReplicaFails(t *testing.T) {
	for _, failure := range []error{errors.New("no such Lease"), nil} {
		replica := &fakeReplica{fail: make(chan error, 1), check: func(string) {}}
		replica.fail <- failure
		err := Run(t.Context(), prepare(t, nil).server, replica)
		if !errors.Is(err, errStopped) || failure != nil && !errors.Is(err, failure) {
			t.Errorf("%v", err)
		}
	}
}
