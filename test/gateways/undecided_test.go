// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

// reply is what an auth server says that is none, byte for byte.
func reply(status string, headers ...string) string {
	return "HTTP/1.1 " + status + "\r\n" + strings.Join(append(headers, "Content-Length: 0", "", ""), "\r\n")
}

// pretend has something else answer in place of the auth server while f runs.
func (w *world) pretend(t *testing.T, bytes string, f func()) {
	t.Helper()
	listener := rig.Listen(t)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go speak(conn, bytes)
		}
	}()
	w.auth.Lead(listener.Addr().String())
	defer w.auth.Lead(w.authServer)
	f()
}

// speak answers whatever it is asked.
func speak(conn net.Conn, bytes string) {
	defer conn.Close()
	buffer := make([]byte, 64<<10)
	for {
		if n, err := conn.Read(buffer); n == 0 || err != nil {
			return
		}
		if _, err := io.WriteString(conn, bytes); err != nil || !strings.Contains(bytes, "Content-Length: 0\r\n\r\n") {
			return
		}
	}
}

const (
	organization = "X-Scope-OrgID: acme"
	keyID        = "X-API-Key-ID: 0123456789ab"
	keyName      = "X-API-Key-Name: team-a/prod-agent"
)

var undecidedChecks = []check{
	{name: "the auth server cannot decide: 503, to be tried again", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		w.registry.Blind(true)
		defer w.registry.Blind(false)
		w.send(t, "POST", "/v1/metrics", "a batch", with(key)).refused(t, http.StatusServiceUnavailable, "undecided")
		w.registry.Blind(false)
		w.send(t, "POST", "/v1/metrics", "a batch", with(key)).arrived(t, key)
	}},
	{name: "no auth server: 503", apart: true, run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		w.auth.Vanish()
		defer w.auth.Lead(w.authServer)
		for range 3 {
			w.send(t, "POST", "/v1/metrics", "a batch", with(key)).refused(t, http.StatusServiceUnavailable, "undecided")
		}
	}},
	{name: "and when it is back, it is asked at once", apart: true, run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		eventually(t, "the gateway asks again", func() bool {
			a := w.send(t, "POST", "/v1/metrics", "a batch", with(key))
			return len(a.arrivals) == 1
		})
	}},
	{name: "an auth server that restarts costs nobody a request", apart: true, run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for range 10 {
			w.send(t, "POST", "/v1/metrics", "a batch", with(key)).arrived(t, key)
			w.auth.Lead(w.authServer) // cuts the connections that the gateway keeps
		}
		w.send(t, "POST", "/v1/metrics", "a batch", with(key)).arrived(t, key)
	}},
	{name: "an auth server that hangs: 503 within 5 s", apart: true, run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		w.auth.Lead(rig.Silence)
		defer w.auth.Lead(w.authServer)
		began := time.Now()
		w.send(t, "POST", "/v1/metrics", "a batch", with(key)).refused(t, http.StatusServiceUnavailable, "undecided")
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the client waited %s", took)
		}
	}},
	{name: "an auth server that drips: 503", apart: true, run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		w.pretend(t, "HTTP/1.1 200 OK\r\n"+organization+"\r\n"+keyID+"\r\n", func() {
			w.send(t, "POST", "/v1/metrics", "a batch", with(key)).refused(t, http.StatusServiceUnavailable, "undecided")
		})
	}},
	{name: "something else in its place: not allowed", apart: true, run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, bytes := range []string{
			reply("200 OK"),
			reply("200 OK", organization),
			reply("200 OK", organization, keyID),
			reply("200 OK", keyID, keyName),
			reply("200 OK", "X-Scope-OrgID:", keyID, keyName),
			reply("201 Created", organization, keyID, keyName),
			reply("202 Accepted", organization, keyID, keyName),
			reply("204 No Content", organization, keyID, keyName),
			reply("206 Partial Content", organization, keyID, keyName),
			reply("302 Found", "Location: /", organization, keyID, keyName),
			reply("304 Not Modified", organization, keyID, keyName),
			reply("404 Not Found", organization, keyID, keyName),
			reply("500 Internal Server Error", organization, keyID, keyName),
			reply("502 Bad Gateway", organization, keyID, keyName),
			"SSH-2.0-OpenSSH_9.2\r\n",
			"\r\n\r\n",
			"HTTP/1.1 abc\r\n\r\n",
			"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64",
		} {
			w.pretend(t, bytes, func() {
				a := w.send(t, "POST", "/v1/metrics", "a batch", with(key),
					"X-Scope-OrgID: evil", "X-API-Key-ID: evil", "X-API-Key-Name: evil")
				a.notAllowed(t)
				if a.status < 500 {
					t.Errorf("after %.40q the client got %d", bytes, a.status)
				}
			})
			if t.Failed() {
				t.Fatalf("after %.200q", bytes)
			}
		}
	}},
	{name: "no upstream: 502 or 503, and no refusal", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		w.way.Vanish()
		defer w.way.Lead(w.upstream.Address)
		a := w.send(t, "POST", "/v1/metrics", "a batch", with(key))
		a.notAllowed(t)
		if a.status != http.StatusBadGateway && a.status != http.StatusServiceUnavailable || strings.Contains(a.body, "undecided") {
			t.Errorf("%d %q", a.status, a.body)
		}
	}},
	{name: "and when it is back, it is asked", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		eventually(t, "the gateway asks the upstream again", func() bool {
			return len(w.send(t, "POST", "/v1/metrics", "a batch", with(key)).arrivals) == 1
		})
	}},
}
