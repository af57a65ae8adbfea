// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package readings

import (
	"slices"
	"testing"
)

func TestReadings(t *testing.T) {
	const refused = ""
	for _, test := range []struct{ target, nginx, golang, caddy string }{
		{"/v1/metrics", "/v1/metrics", "/v1/metrics", "/v1/metrics"},
		{"/V1/a%20b?c", "/V1/a b", "/V1/a b", "/v1/a b"},
		{"/v1//metrics/", "/v1/metrics/", "/v1//metrics/", "/v1/metrics/"},
		{"/a/%2e%2E/b", "/b", "/a/../b", "/b"},
		{"/a%2f..%2fb", "/b", "/a/../b", "/b"},
		{"/a/..", "/", "/a/..", "/"},
		{"/../a", refused, "/../a", "/a"},
		{"/a/.", "/a/", "/a/.", "/a"},
		{"/a#b", "/a", "/a#b", "/a#b"},
		{"/a%23b%3f", "/a#b?", "/a#b?", "/a#b?"},
		{"/a%252e", "/a%2e", "/a%2e", "/a%2e"},
		{"/a%00", refused, "/a\x00", "/a\x00"},
		{"/a%", refused, refused, refused},
		{"/a b", refused, "/a b", "/a b"},
		{"*", refused, refused, refused},
	} {
		for name, read := range map[string]struct {
			reading func(string) (string, bool)
			want    string
		}{"nginx": {Nginx, test.nginx}, "go": {Go, test.golang}, "caddy": {Caddy, test.caddy}} {
			if got, ok := read.reading(test.target); got != read.want || ok == (read.want == refused) {
				t.Errorf("%s reads %q as %q, %v; want %q", name, test.target, got, ok, read.want)
			}
		}
	}
}

func TestEnvoy(t *testing.T) {
	const refused = ""
	for _, test := range []struct{ target, untouched, normalized, all string }{
		{"/v1/metrics?a=/../b", "/v1/metrics?a=/../b", "/v1/metrics?a=/../b", "/v1/metrics?a=/../b"},
		{"/a//b/../c?", "/a//b/../c?", "/a//c?", "/a/c?"},
		{"/a/%2e%2E/%62%7e", "/a/%2e%2E/%62%7e", "/b~", "/b~"},
		{"/../a/.", "/../a/.", "/a/", "/a/"},
		{"/a/..;x=y/b", "/a/..;x=y/b", "/b", "/b"},
		{"/a;x/..b", "/a;x/..b", "/a;x/..b", "/a;x/..b"},
		{`/a\..\b`, `/a\..\b`, "/b", "/b"},
		{"/a%2Fb", "/a%2Fb", "/a%2Fb", refused},
		{"/a%5cb", "/a%5cb", "/a%5cb", refused},
		{"/a?%2f", "/a?%2f", "/a?%2f", "/a?%2f"},
		{"/a%00", "/a%00", refused, refused},
		{"/a b\xff<", "/a b\xff<", "/a%20b%FF%3C", "/a%20b%FF%3C"},
		{"/a#b", refused, refused, refused},
	} {
		for want, options := range map[*string]Envoy{
			&test.untouched: {}, &test.normalized: {Normalize: true}, &test.all: {Normalize: true, MergeSlashes: true, RejectEscapedSlashes: true},
		} {
			if got, ok := options.Target(test.target); got != *want || ok == (*want == refused) {
				t.Errorf("Envoy with %+v makes %q of %q, %v; want %q", options, got, test.target, ok, *want)
			}
		}
	}
}

func TestTraefik(t *testing.T) {
	if got := Traefik("/%61%2f%7E%zz/..%2e"); got != "/a%2F~%zz/..." {
		t.Errorf("Traefik forwards %q", got)
	}
}

func TestOriginForm(t *testing.T) {
	for _, test := range []struct{ target, origin, host string }{
		{"/a", "/a", ""}, {"http://h/a?b", "/a?b", "h"}, {"https://h:1", "/", "h:1"}, {"http://h?b", "/?b", "h"}, {"ftp://h/a", "ftp://h/a", ""},
	} {
		if origin, host := OriginForm(test.target); origin != test.origin || host != test.host {
			t.Errorf("%q is %q at %q, not %q at %q", test.target, origin, host, test.origin, test.host)
		}
	}
}

// Each of these hides the same path; one reading finds it, and the plain one is itself.
func TestAllAndCleaned(t *testing.T) {
	for _, target := range []string{
		"/b", "/a/../b", "/a/%252e%252e/b", `/a\..\b`, "/a/..;x/b", "//b", "/b%00c", "/b%23c", "/b%3fc?d", "/%c0%aeb/../b", "/a/\uff0e\uff0e/b", "/b. ",
	} {
		if !slices.Contains(slices.Collect(All(target)), "/b") {
			t.Errorf("none of the readings of %q is /b: %q", target, slices.Collect(All(target)))
		}
		if got := Cleaned(target); got != "/b" {
			t.Errorf("%q cleaned is %q", target, got)
		}
	}
	for _, target := range []string{"/%u0061/%u002e%u002e/b", "/\x01b%0a"} {
		if got := Cleaned(target); got != "/b" {
			t.Errorf("%q cleaned is %q", target, got)
		}
	}
	if got := slices.Collect(All("/v1/metrics?x")); len(got) != 1 || got[0] != "/v1/metrics" {
		t.Errorf("a plain path can be read as %q", got)
	}
}
