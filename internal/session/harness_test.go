// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	testclock "k8s.io/utils/clock/testing"

	"github.com/hexcovery/apikey-operator/test/issuer"
)

// noon is when tests begin.
var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// harness is a Verifier that runs, on a clock that the test drives.
type harness struct {
	*Verifier
	clock    *testclock.FakeClock
	registry *prometheus.Registry
	stop     func()

	mu  sync.Mutex
	log strings.Builder
}

// prepare makes a Verifier that does not run yet.
func prepare(t testing.TB, i *issuer.Issuer, change func(*Config)) *harness {
	t.Helper()
	h := &harness{clock: testclock.NewFakeClock(noon), registry: prometheus.NewRegistry()}
	config := Config{
		Issuer: i.URL, Audience: issuer.Audience, OrganizationClaim: DefaultOrganizationClaim, ClockSkew: DefaultClockSkew,
		Clock: h.clock,
		Log: funcr.New(func(prefix, args string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			fmt.Fprintln(&h.log, prefix, args)
		}, funcr.Options{Verbosity: 10}),
	}
	if change != nil {
		change(&config)
	}
	var err error
	if h.Verifier, err = NewVerifier(config); err != nil {
		t.Fatal(err)
	}
	h.registry.MustRegister(h.Verifier)
	// A machine that does other work, too, is no issuer that does not answer.
	h.fetchTimeout = time.Minute
	return h
}

// run runs the Verifier until the test ends, and waits for its first attempt.
func (h *harness) run(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	first := h.keys.Load().next
	go func() {
		defer close(done)
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	h.stop = func() { cancel(); <-done }
	t.Cleanup(h.stop)
	<-first
}

func start(t testing.TB, i *issuer.Issuer) *harness {
	t.Helper()
	h := prepare(t, i, nil)
	h.run(t)
	return h
}

// pass lets time pass while the loop sleeps and no request waits.
func (h *harness) pass(t testing.TB, d time.Duration) {
	t.Helper()
	h.asleep(t, 0)
	h.clock.Step(d)
}

// asleep waits until the loop sleeps and so many requests wait: they have a timer
// each, and the loop has two, one of which has fired when another attempt is allowed.
func (h *harness) asleep(t testing.TB, requests int) {
	t.Helper()
	h.eventually(t, "the loop sleeps", func() bool {
		timers := 1
		if h.clock.Now().Before(h.keys.Load().earliest) {
			timers = 2
		}
		return h.clock.Waiters() == timers+requests
	})
}

// eventually waits for what other goroutines do.
func (h *harness) eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: never", what)
		}
	}
}

// ended waits until an attempt to fetch the keys has ended.
func ended(t testing.TB, attempt <-chan struct{}) {
	t.Helper()
	select {
	case <-attempt:
	case <-time.After(time.Minute):
		t.Fatal("nobody fetches the keys")
	}
}

func (h *harness) logged() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

// check verifies a token, and that only an accepted one has a session.
func (h *harness) check(t testing.TB, what, token string, want Verdict) {
	t.Helper()
	session, got := h.Verify(t.Context(), token)
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
	if (session == Session{}) == (got == Accepted) {
		t.Errorf("%s: %v with %+v", what, got, session)
	}
}

// ask verifies a token in the background.
func (h *harness) ask(ctx context.Context, token string) <-chan Verdict {
	verdict := make(chan Verdict, 1)
	go func() {
		_, v := h.Verify(ctx, token)
		verdict <- v
	}()
	return verdict
}

func newRSAKey(t testing.TB, id string) *issuer.Key { return issuer.NewKey(t, id, oidc.RS256) }
func newECKey(t testing.TB, id string) *issuer.Key  { return issuer.NewKey(t, id, oidc.ES256) }

// signES256 signs whatever header an attacker likes.
func signES256(t testing.TB, key *issuer.Key, header, claims any) string {
	t.Helper()
	return encode(header, claims, func(signed []byte) []byte {
		sum := sha256.Sum256(signed)
		r, s, err := ecdsa.Sign(rand.Reader, key.Private.(*ecdsa.PrivateKey), sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	})
}

// scrape returns the metrics page.
func scrape(t testing.TB, h *harness) string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(h.registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Body.String()
}
