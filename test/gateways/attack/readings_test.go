// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/hack/gateways"
	"github.com/hexcovery/apikey-operator/test/readings"
)

// The models that package surface is fuzzed with read as the real servers do.

// patterns are what Caddy is asked to match.
var patterns = []string{"/", "/v1/metrics", "/v1/metrics/", "/v1", "/v1/", "/metrics", "/api/v1/dsl", "/a", "/a/", "/a/b", "/a/b/", "/b"}

// tricky are targets with one oddity each, at every place where it may matter.
func tricky() []string {
	oddities := []string{
		"", "/", "//", "/.", "/..", "/./", "/../", "/../..", "/%2e", "/%2E%2e", "/.%2e/", "%2f", "%2F..%2f", "/..%2f", "%23", "%3f", "?", "#", "%00", "%", "%2", "%zz", "%25", "%252e",
		"%252f", ";", ";/..", `\`, "%5c", "+", "%2b", "%20", "\x7f", "\xff", "%ff", "%c0%ae", "%41", "A", ".", "..", "...", "/...", "?a#b", "#a?b", "|", "\"", "%0a", "*", "%7f", "~", "%u002f",
	}
	var targets []string
	for _, base := range []string{"/v1/metrics", "/a/b", "/api/v1/dsl", "/a/b/"} {
		for _, oddity := range oddities {
			for at := 1; at <= len(base); at++ {
				if at < len(base) && base[at] != '/' && base[at-1] != '/' && at != len(base)/2 {
					continue
				}
				targets = append(targets, base[:at]+oddity+base[at:])
			}
		}
	}
	slices.Sort(targets)
	return slices.Compact(targets)
}

func TestModelOfNginx(t *testing.T) {
	t.Parallel()
	address := echo(t, gateways.Nginx, map[string]string{"http.conf": "", "server.conf": `location / { default_type text/plain; return 200 "$uri"; }`})
	for _, target := range tricky() {
		status, body := ask(t, address, target)
		want, ok := readings.Nginx(target)
		if ok != (status == http.StatusOK) || ok && body != want {
			t.Errorf("nginx reads %q as %q (status %d), and its model as %q, %v", target, body, status, want, ok)
		}
	}
}

func TestModelOfCaddy(t *testing.T) {
	t.Parallel()
	// A route answers with the first pattern that matches, and the path.
	var rules strings.Builder
	for i, pattern := range patterns {
		fmt.Fprintf(&rules, "\t@m%d path %s\n\trespond @m%d \"%s {http.request.uri.path}\"\n", i, pattern, i, pattern)
	}
	address := echo(t, gateways.Caddy, map[string]string{
		"Caddyfile": "{\n\tadmin off\n\tauto_https off\n}\n{$HEXCOVERY_SITE} {\n\tbind {$HEXCOVERY_BIND}\n\troute {\n" + rules.String() + "\trespond \"none {http.request.uri.path}\"\n\t}\n}\n",
	})
	for _, target := range tricky() {
		status, body := ask(t, address, target)
		path, ok := readings.Go(target)
		matched := "none"
		if cleaned, _ := readings.Caddy(target); slices.Contains(patterns, cleaned) {
			matched = cleaned
		}
		if ok != (status == http.StatusOK) || ok && body != matched+" "+path {
			t.Errorf("Caddy reads %q as %q (status %d), and its model as %q, %v", target, body, status, matched+" "+path, ok)
		}
	}
	t.Logf("%d targets", len(tricky()))
}

// echo starts a gateway with other files than those that are shipped.
func echo(t *testing.T, program gateways.Program, files map[string]string) string {
	t.Helper()
	config := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(config, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const nobody = "127.0.0.1:1"
	gateway, err := program.Start(t.Context(), gateways.Options{AuthServer: nobody, Upstream: nobody, Dir: t.TempDir(), Config: config, Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := gateway.Stop(); err != nil {
			t.Error(err)
		}
	})
	return gateway.HTTP
}

// ask sends a target as it is.
func ask(t *testing.T, address, target string) (status int, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: hexcovery.example\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", target, err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%q: %v", target, err)
	}
	return response.StatusCode, string(text)
}
