// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/hexcovery/apikey-operator/test/readings"
)

// nasty is a surface in which paths that are nearly alike need different scopes.
const nasty = `
apiVersion: auth.hexcovery.io/v1alpha1
kind: Surface
rules:
- {name: root, scope: heartbeats, methods: [GET], paths: [/]}
- {name: one, scope: ingest, methods: [GET, POST], paths: [/a, "/a/{id}", /a/b/c]}
- {name: slash, scope: query, methods: [GET, POST], paths: [/a/, /a/b/c/, "/a/{id}/"]}
- {name: below, scope: annotations, methods: [GET, POST], paths: ["/x/{rest...}"]}
- {name: within, scope: query, methods: [GET, POST], paths: [/x/a, "/x/{id}/secret"]}
- {name: dots, scope: heartbeats, methods: [GET, POST], paths: [/a.b, /..., /a/..b]}
`

// everybody is a surface with all that others look a path up in.
type everybody struct {
	table *Table
	// lower is the same for paths in lower case.
	lower *Table
	mux   *http.ServeMux
	rules map[string]string // by pattern of the mux
}

func newEverybody(tb testing.TB, file string) *everybody {
	tb.Helper()
	table, err := Parse([]byte(file))
	if err != nil {
		tb.Fatal(err)
	}
	var c config
	if err := yaml.UnmarshalStrict([]byte(file), &c); err != nil {
		tb.Fatal(err)
	}
	e := &everybody{table: table, mux: http.NewServeMux(), rules: map[string]string{}}
	for i := range c.Rules {
		rule := &c.Rules[i]
		for _, method := range rule.GRPC {
			rule.Paths, rule.Methods = append(rule.Paths, "/"+method), []string{http.MethodPost}
		}
		rule.GRPC = nil
		for j, path := range rule.Paths {
			for _, method := range rule.Methods {
				// To a ServeMux, /a/ is all that is below.
				pattern := method + " " + path
				if strings.HasSuffix(path, "/") {
					pattern += "{$}"
				}
				e.mux.Handle(pattern, http.NotFoundHandler())
				e.rules[pattern] = rule.Name
			}
			rule.Paths[j] = strings.ToLower(path)
		}
	}
	if e.lower, err = build(c.Rules); err != nil {
		tb.Fatal(err)
	}
	return e
}

// check fails if anybody reads a target that is accepted as another rule's.
func (e *everybody) check(t *testing.T, method, target string) {
	t.Helper()
	judged, err := Judge(target)
	if err != nil {
		return
	}
	rule, outcome := e.table.Lookup(Key, method, judged)
	if outcome != Found {
		return
	}
	for name, reading := range map[string]func(string) (string, bool){"nginx": readings.Nginx, "Go": readings.Go} {
		path, ok := reading(target)
		if !ok {
			t.Fatalf("%s refuses %q", name, target)
		}
		if other, _ := e.table.Lookup(Key, method, Path(path)); other == nil || *other != *rule {
			t.Fatalf("%s reads %q as %q, which is of %v and not of %v", name, target, path, other, rule)
		}
	}
	path, ok := readings.Caddy(target)
	if !ok {
		t.Fatalf("Caddy refuses %q", target)
	}
	if other, _ := e.lower.Lookup(Key, method, Path(path)); other == nil || *other != *rule {
		t.Fatalf("Caddy reads %q as %q, which is of %v and not of %v", target, path, other, rule)
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	if _, pattern := e.mux.Handler(&http.Request{Method: method, URL: u, Host: "hexcovery.example"}); e.rules[pattern] != rule.Name {
		t.Fatalf("a ServeMux takes %q to %q, which is of %q and not of %q", target, pattern, e.rules[pattern], rule.Name)
	}
}

// An accepted path is the same rule's, and needs the same scope, to nginx, Caddy, and
// whatever is written in Go.
func FuzzReadings(f *testing.F) {
	surfaces := []*everybody{newEverybody(f, string(defaultYAML)), newEverybody(f, nasty)}
	for _, seed := range []string{
		"/v1/metrics", "/v1/metrics/", "//v1/metrics", "/v1/%6detrics", "/v1/metrics#a", "/v1/metrics?a#b", "/v1/metrics%3fa", "/v1/a/../metrics", "/v1/metrics;a",
		"/api/v1/annotations/a%20b", "/api/v1/annotations/%2e%2e", "/api/v1/annotations/..%2fdsl", "/api/v1/annotations/a+b", "/api/v1/heartbeats/...", "/api/v1/heartbeats/%25",
		"/opentelemetry.proto.collector.logs.v1.LogsService/Export", "/V1/Metrics", "/api/v1/annotations/%E2%84%AA", "/api/v1/annotations/a:b@c", "/api/v1/dsl\\",
		"/a", "/a/", "/a/b/c", "/a/b/c/", "/a/b//c", "/a/b%2fc", "/a/%2e", "/x/", "/x/a", "/x/a/", "/x/A", "/x/b/secret", "/x/b/secret/", "/x/%7Bid%7D/secret", "/a.b", "/...", "/a/..b", "/?", "/",
	} {
		for _, method := range []string{"GET", "POST", "HEAD"} {
			f.Add(method, seed)
		}
	}
	f.Fuzz(func(t *testing.T, method, target string) {
		for _, surface := range surfaces {
			surface.check(t, method, target)
		}
	})
}
