// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

// patience is a limit of tests, not a measure.
const patience = 20 * time.Second

// held sends what announces a body and does not send it, and returns the answer, or nil. It
// fails unless the server closes the connection then.
func held(t *testing.T, address, request string) (*http.Response, string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Error(err)
		return nil, ""
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Error(err)
		return nil, ""
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Error(err)
		return nil, ""
	}
	answers := bufio.NewReader(conn)
	response, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Errorf("%q: %v", request, err)
		return nil, ""
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("%q: %v", request, err)
		return nil, ""
	}
	if rest, err := io.ReadAll(answers); err != nil || len(rest) > 0 {
		t.Errorf("%q: the connection is still there: %q, %v", request, rest, err)
	}
	return response, string(body)
}

func TestNobodyWaitsForABodyThatDoesNotCome(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	t.Cleanup(upstream.Close)
	h := start(t, func(c *Config) {
		withProxy(t, upstream.URL)(c)
		c.StallTimeout = time.Second
	})
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.ScopeIngest)
	var running sync.WaitGroup
	announce := func(line string, headers ...string) string {
		return line + " HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n" + strings.Join(append(headers, "", ""), "\r\n")
	}
	for _, test := range []struct {
		address, request string
		want             Reason
	}{
		{h.proxy, announce("POST /v1/metrics"), MissingKey},
		{h.proxy, announce("POST /v1/metrics", "X-API-Key: "+h.registry.judged(t, registry.Undecided)), Undecided},
		{h.proxy, announce("POST /api/v1/sql", key), NotInSurface},
		{h.proxy, announce("POST /v1/metrics", key), RequestStalled},
		{h.gateways, announce("GET /auth/original"), MissingKey},
		{h.gateways, announce("GET /nowhere"), NoSuchEndpoint},
	} {
		running.Go(func() {
			response, body := held(t, test.address, test.request)
			if response == nil {
				return
			}
			if got := readReason(t, response, body); got != test.want.String() {
				t.Errorf("%q: %s, want %s", test.request, got, test.want)
			}
		})
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		running.Go(func() {
			if response, _ := held(t, h.operations, announce("GET "+path)); response == nil || response.StatusCode != http.StatusOK {
				t.Errorf("%s: %v", path, response)
			}
		})
	}
	running.Wait()
	page := h.scrape(t)
	for _, line := range []string{
		`apikey_server_stalled_requests_total{direction="send"} 1`, `apikey_server_refused_connections_total{listener="proxy",reason="client"} 0`,
		`apikey_server_connections{listener="gateways"} 0`, `apikey_auth_decisions_total{endpoint="proxy",result="allowed"} 1`,
	} {
		if !strings.Contains(page, line) {
			t.Errorf("no %s", line)
		}
	}
}

// An upstream that is gone is told at once, too, though nobody has read the body.
func TestAFailureOfTheUpstreamDoesNotWaitForTheBody(t *testing.T) {
	h := start(t, withProxy(t, "http://"+closedAddress(t)))
	response, body := held(t, h.proxy, "POST /v1/metrics HTTP/1.1\r\nHost: a\r\nX-API-Key: "+h.registry.accept(t, v1alpha1.ScopeIngest)+"\r\nContent-Length: 1000\r\n\r\n")
	if response == nil {
		return
	}
	if got := readReason(t, response, body); got != UpstreamUnavailable.String() {
		t.Error(got)
	}
}

// And so is an upstream that answers before it has the body.
func TestAnEarlyAnswerOfTheUpstreamDoesNotWaitForTheBody(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}))
	t.Cleanup(upstream.Close)
	h := start(t, withProxy(t, upstream.URL))
	response, _ := held(t, h.proxy, "POST /v1/metrics HTTP/1.1\r\nHost: a\r\nX-API-Key: "+h.registry.accept(t, v1alpha1.ScopeIngest)+"\r\nContent-Length: 1000\r\n\r\n")
	if response == nil || response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%v", response)
	}
}

func TestRefusedBodiesThatComeKeepTheConnection(t *testing.T) {
	h := start(t, withProxy(t, mirror(t, false).URL))
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for range 3 {
		if _, err := io.WriteString(conn, "POST /v1/metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\na batch"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || response.Close {
			t.Fatal(err, response.Close)
		}
		if got := readReason(t, response, string(body)); got != MissingKey.String() {
			t.Error(got)
		}
	}
}

func TestHeadersAreCounted(t *testing.T) {
	h := start(t, withProxy(t, mirror(t, false).URL))
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.ScopeIngest)
	headers := []string{key}
	for i := range maxHeaders - len(headers) {
		headers = append(headers, fmt.Sprintf("X-%d: a", i%7)) // values are counted, not names
	}
	for _, test := range []struct {
		headers []string
		want    string
	}{{headers, ""}, {slices.Concat(headers, []string{"X-More: a"}), TooManyHeaders.String()}} {
		response, body := exchange(t, h.proxy, "POST /v1/metrics HTTP/1.1\r\nHost: a\r\n"+strings.Join(slices.Concat(test.headers, []string{"", ""}), "\r\n"))
		if test.want == "" {
			if response.StatusCode != http.StatusOK {
				t.Errorf("%d: %s", response.StatusCode, body)
			}
			continue
		}
		if got := readReason(t, response, body); got != test.want {
			t.Errorf("%d headers: %s", len(test.headers), got)
		}
		response, body = exchange(t, h.gateways, raw("GET /auth/original", slices.Concat(test.headers, typical["/auth/original"])...))
		if got := readReason(t, response, body); got != test.want {
			t.Errorf("%d headers, by a gateway: %s", len(test.headers), got)
		}
	}
}

func TestAListenerHasNoMoreConnectionsThanItMay(t *testing.T) {
	h := start(t, func(c *Config) {
		withProxy(t, mirror(t, false).URL)(c)
		c.MaxConnections = 8 // and so 4 for each client of the proxy
	})
	for range 4 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.proxy)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	// The kernel may have accepted what the server refuses.
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.proxy)
	if err == nil {
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		_, err = conn.Read(make([]byte, 1))
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a fifth connection of one client: %v", err)
	}
	page := h.scrape(t)
	for _, line := range []string{`apikey_server_connections{listener="proxy"} 4`, `apikey_server_refused_connections_total{listener="proxy",reason="client"} 1`} {
		if !strings.Contains(page, line) {
			t.Errorf("no %s", line)
		}
	}
}
