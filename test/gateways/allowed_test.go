// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

var allowedChecks = []check{
	{name: "a good key reaches the upstream, as its organization", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		a := w.send(t, "POST", "/v1/metrics", "a batch", with(key), "Content-Type: application/x-protobuf")
		arrival := a.arrived(t, key)
		if a.status != http.StatusOK || a.body != "upstream says 200" {
			t.Errorf("%d %q", a.status, a.body)
		}
		if arrival.Method != "POST" || arrival.Target != "/v1/metrics" || arrival.Body != "a batch" || arrival.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%+v", arrival)
		}
	}},
	{name: "two organizations, in turn", run: func(t *testing.T, w *world) {
		keys := []rig.Key{w.registry.Accept(t, "acme"), w.registry.Accept(t, "globex-7")}
		for i := range 20 {
			key := keys[i%2]
			w.send(t, "GET", "/api/v1/annotations", "", with(key)).arrived(t, key)
		}
	}},
	{name: "many at once, each as its own organization", run: func(t *testing.T, w *world) {
		var all sync.WaitGroup
		for worker := range 16 {
			key := w.registry.Accept(t, fmt.Sprintf("organization-%d", worker))
			if worker%4 == 3 {
				key = rig.Mint(t)
			}
			all.Go(func() { w.hurry(t, key, 50) })
		}
		all.Wait()
	}},
	{name: "a body of 8 MB arrives whole", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		body := strings.Repeat("0123456789abcdef", 8<<20/16)
		arrival := w.send(t, "POST", "/v1/logs", body, with(key)).arrived(t, key)
		if arrival.Body != body {
			t.Errorf("%d bytes arrived, of %d", len(arrival.Body), len(body))
		}
	}},
	{name: "a body is streamed", run: func(t *testing.T, w *world) {
		key, mark := w.registry.Accept(t, "acme"), newMark()
		conn := w.dial(t)
		defer conn.Close()
		head := raw("POST", "/v1/traces", mark, "", with(key), "Transfer-Encoding: chunked")
		fmt.Fprintf(conn, "%s5\r\nfirst\r\n", head)
		var arrivals []*rig.Arrival
		eventually(t, "the request reaches the upstream before its body is complete", func() bool {
			arrivals = w.upstream.Arrivals(mark)
			return len(arrivals) == 1
		})
		fmt.Fprint(conn, "4\r\nlast\r\n0\r\n\r\n")
		if a := w.read(t, mark, head, bufio.NewReader(conn)); a.status != http.StatusOK {
			t.Errorf("%d %q", a.status, a.body)
		}
		if arrivals[0].Body != "firstlast" {
			t.Errorf("%q arrived", arrivals[0].Body)
		}
		checkArrival(t, arrivals[0], key)
	}},
	{name: "methods arrive as they are", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for target, methods := range map[string][]string{
			"/api/v1/annotations":      {"GET", "POST"},
			"/api/v1/annotations/7":    {"GET", "PUT", "PATCH", "DELETE"},
			"/api/v1/heartbeats/daily": {"GET", "HEAD", "POST", "PUT"},
		} {
			for _, method := range methods {
				if arrival := w.send(t, method, target, "", with(key)).arrived(t, key); arrival.Method != method || arrival.Target != target {
					t.Errorf("%s %s arrived as %s %s", method, target, arrival.Method, arrival.Target)
				}
			}
		}
	}},
	{name: "other methods are refused", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, method := range []string{"DELETE", "PUT", "PATCH", "OPTIONS", "get"} {
			a := w.send(t, method, "/api/v1/annotations", "", with(key))
			a.notAllowed(t)
			if a.status != http.StatusForbidden && a.status != http.StatusBadRequest {
				t.Errorf("%s: %d", method, a.status)
			}
		}
		w.send(t, "HEAD", "/api/v1/annotations", "", with(key)).notAllowed(t)
	}},
	{name: "what the upstream answers is what the client gets", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, status := range []int{201, 400, 401, 403, 404, 429, 500, 502, 503, 504} {
			a := w.send(t, "POST", "/api/v1/dsl", "{}", with(key), fmt.Sprintf("%s: %d", rig.AnswerHeader, status))
			a.arrived(t, key)
			if a.status != status || a.body != fmt.Sprintf("upstream says %d", status) || a.header.Get("WWW-Authenticate") != "Upstream" || a.header.Get("Content-Type") != "text/plain" {
				t.Errorf("%d: %d %q %v", status, a.status, a.body, a.header)
			}
		}
	}},
	{name: "no cache keeps an answer", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		a := w.send(t, "GET", "/api/v1/annotations", "", with(key))
		a.arrived(t, key)
		if got := a.header["Cache-Control"]; len(got) != 1 || got[0] != "no-store" {
			t.Errorf("Cache-Control %q", got)
		}
	}},
	{name: "a revoked key is refused with the next request of the connection", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		conn := w.dial(t)
		defer conn.Close()
		reader := bufio.NewReader(conn)
		ask := func() *answer {
			mark := newMark()
			request := raw("GET", "/api/v1/annotations", mark, "", with(key), "Connection: keep-alive")
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			return w.read(t, mark, request, reader)
		}
		for range 3 {
			ask().arrived(t, key)
		}
		w.registry.Revoke(key)
		ask().refused(t, http.StatusUnauthorized, "unknown_key")
	}},
}

// hurry sends requests one after the other on one connection; all of them arrive as
// those of the key, or, if nobody knows it, none.
func (w *world) hurry(t *testing.T, key rig.Key, requests int) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for range requests {
		mark := newMark()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.http+"/v1/metrics", strings.NewReader("a batch"))
		if err != nil {
			t.Error(err)
			return
		}
		request.Header.Set("X-API-Key", key.Plaintext)
		request.Header.Set(rig.MarkHeader, mark)
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		arrivals := w.upstream.Arrivals(mark)
		switch {
		case key.Organization == "" && (response.StatusCode != http.StatusUnauthorized || len(arrivals) != 0):
			t.Errorf("an unknown key got %d, and %d requests reached the upstream", response.StatusCode, len(arrivals))
		case key.Organization != "" && (response.StatusCode != http.StatusOK || len(arrivals) != 1):
			t.Errorf("a good key got %d, and %d requests reached the upstream", response.StatusCode, len(arrivals))
		case key.Organization != "":
			checkArrival(t, arrivals[0], key)
		}
	}
}
