// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// evil is what a client that lies says.
const evil = "evil"

// lies reports which headers brought something evil to the upstream.
func (a *answer) lies() []string {
	var names []string
	for _, arrival := range a.arrivals {
		for _, headers := range []http.Header{arrival.Header, arrival.Trailer} {
			for name, values := range headers {
				if strings.Contains(strings.ToLower(strings.Join(values, " ")), evil) {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// identityHeaders are those that upstreams believe, as a client may spell them.
var identityHeaders = []string{"X-Scope-OrgID", "x-scope-orgid", "X-SCOPE-ORGID", "X-API-Key-ID", "X-API-Key-Name"}

// neverForwarded are headers by which a client could have a request be taken for
// somebody else's, or for another request.
var neverForwarded = []string{
	"Cookie", "Cookie2", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix",
	"X-Forwarded-Server", "X-Forwarded-User", "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "True-Client-IP",
	"CF-Connecting-IP", "X-Rewrite-URL", "X-Original-Host",
	"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "Proxy",
}

// claimHeaders are those by which gateways tell the auth server which request it is.
var claimHeaders = []string{"X-Original-URI", "X-Original-URL", "X-Original-Method", "X-Forwarded-Uri", "X-Forwarded-Method"}

var headerChecks = []check{
	{name: "identity headers of a client do not arrive", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, name := range identityHeaders {
			w.send(t, "POST", "/v1/metrics", "a batch", with(key), name+": "+evil, name+": "+evil).arrived(t, key)
		}
	}},
	{name: "nor do they under look-alike names", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, name := range identityHeaders {
			for _, separator := range []string{"_", ".", "~", "!"} {
				for _, header := range []string{strings.ReplaceAll(name, "-", separator), strings.Replace(name, "-", separator, 1)} {
					a := w.send(t, "POST", "/v1/metrics", "a batch", with(key), header+": "+evil)
					if lies := a.lies(); lies != nil {
						t.Errorf("%s arrived as %q", header, lies)
					}
					if len(a.arrivals) != 0 {
						a.arrived(t, key)
					} else {
						a.notAllowed(t)
					}
				}
			}
		}
	}},
	{name: "nor does a second key under one", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, header := range []string{"X_API_Key", "X.API.Key", "X_API-Key", "X~API~Key", "x_api_key"} {
			a := w.send(t, "POST", "/v1/metrics", "a batch", header+": "+evil, with(key))
			if lies := a.lies(); lies != nil {
				t.Errorf("%s arrived as %q", header, lies)
			}
		}
	}},
	{name: "Connection takes no header away", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, named := range []string{"X-API-Key", "X-Scope-OrgID", "X-API-Key-ID, X-API-Key-Name", "x-scope-orgid", "X-Forwarded-Uri", "X-Original-URI, X-Original-Method"} {
			a := w.send(t, "POST", "/v1/metrics", "a batch", with(key), "Connection: close, "+named)
			if len(a.arrivals) == 0 {
				a.notAllowed(t)
				continue
			}
			a.arrived(t, key)
		}
	}},
	{name: "what a client says it asked for is not believed", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, headers := range [][]string{
			{"X-Original-URI: /v1/metrics", "X-Original-Method: POST"},
			{"X-Original-URL: https://hexcovery.example/v1/metrics", "X-Original-Method: POST"},
			{"X-Forwarded-Uri: /v1/metrics", "X-Forwarded-Method: POST"},
			{"X-Original-URI: /v1/metrics", "X-Original-URL: https://h/v1/metrics", "X-Original-Method: POST", "X-Forwarded-Uri: /v1/metrics", "X-Forwarded-Method: POST"},
			{"X_Original_URI: /v1/metrics", "X_Forwarded_Uri: /v1/metrics"},
			{"X-Envoy-Original-Path: /v1/metrics", ":path: /v1/metrics"},
		} {
			a := w.send(t, "POST", "/api/v1/admin", "{}", append(headers, with(key))...)
			a.notAllowed(t)
		}
	}},
	{name: "nor does it arrive", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, name := range claimHeaders {
			a := w.send(t, "POST", "/v1/metrics", "a batch", with(key), name+": /"+evil)
			if lies := a.lies(); lies != nil {
				t.Errorf("%s arrived as %q", name, lies)
			}
		}
	}},
	{name: "other headers that deceive do not arrive", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, name := range neverForwarded {
			a := w.send(t, "POST", "/v1/metrics", "a batch", with(key), name+": "+evil)
			if lies := a.lies(); lies != nil {
				t.Errorf("%s arrived as %q", name, lies)
			}
		}
	}},
	{name: "nor do trailers of a client", limits: []string{"haproxy", "caddy"}, run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		mark := newMark()
		request := raw("POST", "/v1/metrics", mark, "7\r\na batch\r\n0\r\nX-Scope-OrgID: evil\r\nX-API-Key-ID: evil\r\n\r\n",
			with(key), "Transfer-Encoding: chunked", "Trailer: X-Scope-OrgID, X-API-Key-ID")
		a := w.wire(t, mark, request)
		a.arrived(t, key) // in the headers there is nothing of it
		if lies := a.lies(); (lies != nil) != w.limited {
			t.Errorf("arrived: %q", lies)
		}
	}},
	{name: "all else does, and Host", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		arrival := w.send(t, "POST", "/v1/metrics", "a batch", with(key), "Host: api.example:8443",
			"Content-Encoding: gzip", "User-Agent: agent/1.0", "traceparent: 00-1-2-01", "Accept: a/b", "X-Many: 1", "X-Many: 2").arrived(t, key)
		for name, want := range map[string]string{"Content-Encoding": "gzip", "User-Agent": "agent/1.0", "Traceparent": "00-1-2-01", "Accept": "a/b", "X-Many": "1, 2"} {
			if got := strings.Join(arrival.Header[name], ", "); got != want {
				t.Errorf("%s arrived as %q", name, got)
			}
		}
		if got := arrival.Header["X-Forwarded-For"]; len(got) != 1 || got[0] != "127.0.0.1" {
			t.Errorf("X-Forwarded-For %q", got)
		}
		if !slices.Contains([]string{"api.example:8443", "api.example", w.way.Address}, arrival.Host) {
			t.Errorf("Host %q", arrival.Host)
		}
	}},
	{name: "no other protocol gets through", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, protocol := range []string{"websocket", "h2c", "spdy/3.1"} {
			a := w.send(t, "GET", "/api/v1/annotations", "", with(key), "Connection: Upgrade, HTTP2-Settings", "Upgrade: "+protocol,
				"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
			for _, arrival := range a.arrivals {
				if arrival.Header.Get("Upgrade") != "" || arrival.Header.Get("Http2-Settings") != "" {
					t.Errorf("%s arrived: %v", protocol, arrival.Header)
				}
			}
			if a.status == http.StatusSwitchingProtocols {
				t.Errorf("%s: %d", protocol, a.status)
			}
		}
	}},
}
