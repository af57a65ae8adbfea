// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package readings

import "testing"

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
