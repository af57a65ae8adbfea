// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

var pathChecks = []check{
	{name: "a path arrives byte for byte", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, target := range []string{
			"/api/v1/annotations/a%20b",
			"/api/v1/annotations/a%3ab%2Cc%2cd",
			"/api/v1/annotations/a:b,c+d@e~f!g'h(i)*j",
			"/api/v1/annotations/%7Bid%7D",
			"/api/v1/annotations?",
			"/api/v1/annotations?q=%2F%2e%2E&x=a+b&y=/../z&z=//&e=%",
			"/api/v1/annotations?a=1;b=2&c=d?e&&",
			`/api/v1/annotations?q="a"{b}|c\d^e` + "`f",
		} {
			a := w.send(t, "GET", target, "", with(key))
			if len(a.arrivals) == 0 && strings.ContainsAny(target, "\"\\^`{}|%") {
				a.notAllowed(t) // some gateways refuse what RFC 3986 does not permit
				continue
			}
			if arrival := a.arrived(t, key); arrival.Target != target {
				t.Errorf("%s arrived as %s", target, arrival.Target)
			}
		}
	}},
	{name: "a path with two readings is refused", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, target := range []string{
			"/v1/%6cogs", "/v1/metrics/../logs", "/api/v1/admin/../annotations", "//v1/logs", "/v1//logs", "/./v1/logs", "/v1/logs%2F", "/v1%2Flogs",
			"/api/v1/annotations/..%2fadmin", "/api/v1/annotations/%2e%2e/admin", `/v1\logs`, "/v1/logs;x=y", "/v1/logs%00", "/v1/logs#x", "/v1/logs%",
			"/v1/logs%zz", "/api/v1/annotations/%c0%af", "/api/v1/annotations/\xff",
		} {
			a := w.send(t, "POST", target, "{}", with(key))
			if w.manners.normalizes && len(a.arrivals) != 0 {
				if arrived := a.arrived(t, key).Target; arrived != "/v1/logs" && arrived != "/api/v1/annotations" {
					t.Errorf("%s arrived as %s", target, arrived)
				}
				continue
			}
			a.notAllowed(t)
			if a.status != http.StatusForbidden && a.status != http.StatusBadRequest {
				t.Errorf("%s: %d", target, a.status)
			}
		}
	}},
	{name: "the upstream sees no other path than was judged", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, target := range []string{
			"http://hexcovery.example/v1/metrics", "http://other.example/v1/metrics", "http://x/api/v1/admin", "http://x?/v1/metrics",
			"https://hexcovery.example", "*", "v1/metrics", "x:y", "/v1/metrics HTTP/1.1 x",
		} {
			mark := newMark()
			a := w.wire(t, mark, raw("POST", target, mark, "a batch", with(key)))
			for _, arrival := range a.arrivals {
				checkArrival(t, arrival, key)
				if arrival.Target != "/v1/metrics" || arrival.Host == "other.example" && !strings.Contains(target, "other") {
					t.Errorf("%s arrived as %s at %s", target, arrival.Target, arrival.Host)
				}
			}
			if len(a.arrivals) == 0 {
				a.notAllowed(t)
			}
		}
		a := w.send(t, "CONNECT", "api.example:443", "", with(key))
		a.notAllowed(t)
	}},
	{name: "HTTP/1.0, and no Host", run: func(t *testing.T, w *world) {
		key := w.registry.Accept(t, "acme")
		for _, head := range []string{
			"GET /api/v1/annotations HTTP/1.0\r\n",
			"GET /api/v1/annotations HTTP/1.0\r\nHost: a\r\n",
			"GET /api/v1/annotations HTTP/1.1\r\n",
			"GET /api/v1/annotations HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
		} {
			mark := newMark()
			a := w.wire(t, mark, head+rig.MarkHeader+": "+mark+"\r\n"+with(key)+"\r\nConnection: close\r\n\r\n")
			if len(a.arrivals) == 0 {
				a.notAllowed(t)
				continue
			}
			a.arrived(t, key)
		}
		mark := newMark()
		a := w.wire(t, mark, "GET /api/v1/admin HTTP/1.0\r\n"+rig.MarkHeader+": "+mark+"\r\n"+with(key)+"\r\n\r\n")
		a.notAllowed(t)
	}},
}
