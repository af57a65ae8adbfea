// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/scope"
	"github.com/hexcovery/apikey-operator/internal/serving"
	"github.com/hexcovery/apikey-operator/internal/surface"
	"github.com/hexcovery/apikey-operator/webhook"
)

const mixed = `
apiVersion: auth.hexcovery.io/v1alpha1
kind: Surface
rules:
- {name: both, scope: query, sessions: true, methods: [GET], paths: [/both]}
- {name: people, sessions: true, methods: [GET], paths: [/people, /things/admin]}
- {name: things, scope: annotations, methods: [GET], paths: ["/things/{id}", /split]}
- {name: split, sessions: true, methods: [POST], paths: [/split]}
- {name: below, scope: query, methods: [GET], paths: ["/files/{path...}"]}
- {name: slash, scope: query, methods: [GET], paths: [/slash/]}
`

// printed runs the program, without a server, and returns what it prints.
func printed(t *testing.T, input string, arguments ...string) (code int, output string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code, err := execute(arguments, environment(), strings.NewReader(input), &stdout, &stderr)
	if (err != nil) != (code == exitUsage) {
		t.Errorf("%q: exits with %d, and %v", arguments, code, err)
	}
	if err != nil {
		return code, err.Error()
	}
	return code, stdout.String()
}

func TestCheckSurfaceSaysWhichRuleDecides(t *testing.T) {
	for _, test := range []struct {
		method, path string
		code         int
		want         string
	}{
		{"GET", "/both", 0, `permitted by rule "both" (pattern /both, method GET): keys with scope query, sessions`},
		{"GET", "/both?q=1", 0, `permitted by rule "both" (pattern /both, method GET): keys with scope query, sessions`},
		{"GET", "/people", 0, `permitted by rule "people" (pattern /people, method GET): sessions, no keys`},
		{"GET", "/things/7", 0, `permitted by rule "things" (pattern /things/{id}, method GET): keys with scope annotations`},
		{"GET", "/things/admin", 0, `permitted by rule "people" (pattern /things/admin, method GET): sessions, no keys`},
		{"POST", "/split", 0, `permitted by rule "split" (pattern /split, method POST): sessions, no keys`},
		{"PUT", "/split", 1, `refused: method_not_allowed: rules name this path, but only for GET (rule "things": keys with scope annotations) and POST (rule "split": sessions, no keys)`},
		{"POST", "/people", 1, `refused: not_in_surface: no rule names this path for keys, and for sessions only with GET (rule "people": sessions, no keys)`},
		{"get", "/both", 1, `refused: method_not_allowed: rules name this path, but only for GET (rule "both": keys with scope query, sessions)
  rule "both" permits GET: methods are compared exactly, in capitals`},
		{"GET", "/nowhere", 1, `refused: not_in_surface: no rule names this path`},
		{"GET", "/Both/", 1, `refused: not_in_surface: no rule names this path
  rule "both" names /both: paths are compared exactly, with capitals and a trailing slash`},
		{"GET", "/slash", 1, `refused: not_in_surface: no rule names this path
  rule "slash" names /slash/: paths are compared exactly, with capitals and a trailing slash`},
		{"GET", "/FILES/a/B", 1, `refused: not_in_surface: no rule names this path
  rule "below" names /files/{path...}: paths are compared exactly, with capitals and a trailing slash`},
		{"GET", "/files/", 1, `refused: not_in_surface: no rule names this path`},
		{"GET", "/both//", 1, `refused: ambiguous_path: the path has an empty segment (//)`},
		{"GET", "/files/%2e%2e/both", 1, `refused: ambiguous_path: the path has a percent-escape of a character that servers read in different ways`},
		{"GET", "https://host/both", 1, `refused: ambiguous_path: the request target does not start with "/"`},
	} {
		code, got := printed(t, mixed, "--check-surface", "-", test.method, test.path)
		if code != test.code || got != test.want+"\n" {
			t.Errorf("%s %s: exits with %d and prints\n%swant %d and\n%s", test.method, test.path, code, got, test.code, test.want)
		}
	}
}

func TestCheckSurfaceReadsWhatItIsTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "surface.yaml")
	if err := os.WriteFile(file, []byte(mixed), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		arguments []string
		code      int
		want      string
	}{
		{[]string{"--check-surface", file, "GET", "/both"}, 0, `rule "both"`},
		{[]string{"--check-surface=" + file}, 0, "GET      /things/{id}      keys with scope annotations      things\n"},
		{[]string{"--check-surface", "default", "POST", "/v1/metrics"}, 0, `rule "otlp-http"`},
		{[]string{"--check-surface", "default", "POST", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"}, 0, `rule "otlp-grpc"`},
		{[]string{"--check-surface", "-"}, 2, "standard input: apiVersion"},
		{[]string{"--check-surface", "-", "GET", "/both"}, 2, "standard input: apiVersion"},
		{[]string{"--check-surface", file + "x", "GET", "/both"}, 2, file + "x"},
		{[]string{"--check-surface", "", "GET", "/both"}, 2, "FILE is empty"},
		{[]string{"--check-surface", file, "GET"}, 2, "FILE METHOD PATH"},
		{[]string{"--check-surface", file, "GET", "/both", "--listen=:80"}, 2, "FILE METHOD PATH"},
		{[]string{"--check-surface", file, "", "/both"}, 2, "must not be empty"},
		{[]string{"--check-surface", file, "GET", ""}, 2, "must not be empty"},
		{[]string{"--no-such-flag"}, 2, "no-such-flag"},
	} {
		code, got := printed(t, "", test.arguments...)
		if code != test.code || !strings.Contains(got, test.want) {
			t.Errorf("%q: exits with %d and prints\n%s\nwant %d and %q", test.arguments, code, got, test.code, test.want)
		}
	}
	if code, got := printed(t, strings.Repeat("#", surface.MaxFileBytes)+mixed, "--check-surface", "-"); code != 2 || !strings.Contains(got, "larger than") {
		t.Errorf("%d, %s", code, got)
	}
}

// everyKey is a registry where every key has every scope.
type everyKey struct{}

func (everyKey) Authenticate(keys.Digest) (registry.Grant, registry.Verdict) {
	return registry.Grant{KeyID: "k", Namespace: "n", Name: "m", Organization: "acme", Scopes: scope.All()}, registry.Accepted
}

func (everyKey) Ready() bool { return true }

// What is printed is what a server does, asked by a gateway with a key.
func TestCheckSurfaceJudgesAsTheServer(t *testing.T) {
	table, err := surface.Parse([]byte(mixed))
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, table)
	plaintext, err := keys.Mint()
	if err != nil {
		t.Fatal(err)
	}
	data, err := plaintext.SecretData(nil, keys.Variables{})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/", "/both", "/both/", "/both?a", "/BOTH", "/both//", "/both/.", "/people", "/things/admin", "/things/Admin", "/things/7", "/things/", "/things",
		"/things/a%20b", "/things/a%2fb", "/things/a;b", "/split", "/files/", "/files/a/b/", "/files/../both", "/slash", "/slash/", "//both", "/both#", "*", "both",
	} {
		for _, method := range []string{"GET", "POST", "DELETE", "get"} {
			_, got := printed(t, mixed, "--check-surface", "-", method, path)
			asked := ask(t, address, string(data["api-key"]), method, path)
			var same bool
			switch permitted := strings.HasPrefix(got, "permitted by rule "); {
			case permitted && strings.HasSuffix(got, ": sessions, no keys\n"):
				same = asked == "not_in_surface" || asked == "method_not_allowed"
			case permitted:
				same = asked == "allowed"
			default:
				same = strings.HasPrefix(got, "refused: "+asked+": ")
			}
			if !same {
				t.Errorf("%s %s: the server says %s, and the check\n%s", method, path, asked, got)
			}
		}
	}
}

// serve runs an auth server until the test ends.
func serve(t *testing.T, table *surface.Table) string {
	t.Helper()
	gateways, err := listen(t.Context(), "--listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	operations, err := listen(t.Context(), "--ops-listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := webhook.New(webhook.Config{
		Authenticator: everyKey{}, Surface: table, OrganizationHeader: webhook.DefaultOrganizationHeader,
		Gateways: gateways, Operations: operations, ShutdownTimeout: webhook.DefaultShutdownTimeout,
		Clock: clock.RealClock{}, Log: logr.Discard(), Connections: serving.NewMetrics(), Gatherer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return gateways.Addr().String()
}

// ask asks as nginx does, and returns the reason.
func ask(t *testing.T, address, key, method, path string) string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /auth/original HTTP/1.1\r\nHost: auth\r\nConnection: close\r\nX-API-Key: %s\r\nX-Original-Method: %s\r\nX-Original-URI: %s\r\n\r\n", key, method, path)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return "allowed"
	}
	var problem struct{ Reason string }
	if body, err := io.ReadAll(response.Body); err != nil || json.Unmarshal(body, &problem) != nil || problem.Reason == "" {
		t.Fatalf("status %d: %s, %v", response.StatusCode, body, err)
	}
	return problem.Reason
}
