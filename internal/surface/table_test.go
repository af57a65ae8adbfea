// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/scope"
)

func lookup(t *testing.T, table *Table, method, target string) (string, Outcome) {
	t.Helper()
	path, err := Judge(target)
	if err != nil {
		t.Fatalf("Judge(%q): %v", target, err)
	}
	rule, outcome := table.Lookup(Key, method, path)
	if (rule != nil) != (outcome == Found) {
		t.Fatalf("Lookup(%s, %q) = %v, %v", method, target, rule, outcome)
	}
	if rule == nil {
		return "", outcome
	}
	return rule.Name, outcome
}

func TestMostSpecificPatternDecidesAlone(t *testing.T) {
	table, err := Parse([]byte(`
apiVersion: auth.hexcovery.io/v1alpha1
kind: Surface
rules:
- {name: root, scope: query, methods: [GET], paths: [/]}
- {name: one, scope: query, methods: [GET], paths: ["/a/{id}", "/a/{id}/c"]}
- {name: exact, scope: ingest, methods: [POST], paths: [/a/b, /a/slash/]}
- {name: below, scope: annotations, methods: [GET, PUT], paths: ["/a/{rest...}", "/x/{rest...}"]}
- {name: rpc, scope: ingest, grpc: [p.v1.S/M]}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, target, rule string
		outcome              Outcome
	}{
		{"GET", "/", "root", Found},
		{"GET", "/?q", "root", Found},
		{"POST", "/a/b", "exact", Found},
		{"GET", "/a/b", "", OtherMethod}, // {id} has GET, but /a/b is more specific
		{"GET", "/a/z", "one", Found},
		{"PUT", "/a/z", "", OtherMethod},
		{"GET", "/a/b%20c", "one", Found},
		{"GET", "/a/b/c", "one", Found}, // back from the literal b, which leads nowhere
		{"PUT", "/a/b/d", "below", Found},
		{"GET", "/a/z/c", "one", Found},
		{"GET", "/a/z/d", "below", Found},
		{"GET", "/a/z/", "below", Found},
		{"GET", "/a/z/c/", "below", Found},
		{"POST", "/a/slash/", "exact", Found},
		{"GET", "/a/slash", "one", Found},
		{"GET", "/a", "", NotFound},
		{"GET", "/a/", "", NotFound},
		{"GET", "/x", "", NotFound},
		{"GET", "/x/", "", NotFound},
		{"GET", "/x/y", "below", Found},
		{"GET", "/A/z", "", NotFound},
		{"GET", "/ab", "", NotFound}, // the boundary of a prefix is a slash
		{"GET", "/xy/z", "", NotFound},
		{"get", "/", "", OtherMethod},
		{"", "/", "", OtherMethod},
		{"POST", "/p.v1.S/M", "rpc", Found},
		{"GET", "/p.v1.S/M", "", OtherMethod},
		{"POST", "/p.v1.S/N", "", NotFound},
		{"POST", "/p.v1.S/M/", "", NotFound},
		{"POST", "/P.v1.S/M", "", NotFound},
	} {
		rule, outcome := lookup(t, table, test.method, test.target)
		if rule != test.rule || outcome != test.outcome {
			t.Errorf("Lookup(%s, %s) = %q, %v; want %q, %v", test.method, test.target, rule, outcome, test.rule, test.outcome)
		}
	}
	if _, outcome := table.Lookup(Key, "GET", ""); outcome != NotFound {
		t.Errorf("Lookup of a path that was not judged: %v", outcome)
	}
}

const mixed = `
apiVersion: auth.hexcovery.io/v1alpha1
kind: Surface
rules:
- {name: keys, scope: query, methods: [GET], paths: [/keys]}
- {name: both, scope: query, sessions: true, methods: [GET], paths: [/both]}
- {name: people, sessions: true, methods: [GET], paths: [/people, "/things/admin", "/all/{rest...}"]}
- {name: things, scope: annotations, methods: [GET], paths: ["/things/{id}", /split]}
- {name: split, sessions: true, methods: [POST], paths: [/split]}
`

func TestARuleIsForWhomItSays(t *testing.T) {
	table, err := Parse([]byte(mixed))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method  string
		path    Path
		key     Outcome
		session Outcome
	}{
		{"GET", "/keys", Found, NotFound},
		{"POST", "/keys", OtherMethod, NotFound},
		{"GET", "/both", Found, Found},
		{"POST", "/both", OtherMethod, OtherMethod},
		{"GET", "/people", NotFound, Found},
		{"POST", "/people", NotFound, OtherMethod}, // nothing tells a key that the path is there
		{"GET", "/all/people", NotFound, Found},
		{"GET", "/things/admin", NotFound, Found}, // what is taken from keys is not given back by {id}
		{"GET", "/things/Admin", Found, NotFound}, // and exactly that is taken
		{"GET", "/things/admin/", NotFound, NotFound},
		{"GET", "/things/7", Found, NotFound},
		{"GET", "/split", Found, OtherMethod},
		{"POST", "/split", OtherMethod, Found},
		{"PUT", "/split", OtherMethod, OtherMethod},
	} {
		for caller, want := range map[Caller]Outcome{Key: test.key, Session: test.session, 99: NotFound} {
			rule, got := table.Lookup(caller, test.method, test.path)
			if got != want || (rule != nil) != (got == Found) {
				t.Errorf("caller %d, %s %s: %+v, %v; want %v", caller, test.method, test.path, rule, got, want)
			}
			if caller == Key && rule != nil && rule.Scope.Empty() {
				t.Errorf("%s %s: a key needs no scope", test.method, test.path)
			}
		}
	}
}

func TestNoSessionReachesTheDefault(t *testing.T) {
	for _, entry := range Default().Entries() {
		if entry.Rule.Sessions {
			t.Errorf("rule %q is for sessions", entry.Rule.Name)
		}
	}
}

func TestDefaultIsTheProgrammaticSurface(t *testing.T) {
	const collector = "/opentelemetry.proto.collector."
	permitted := map[string]map[string]v1alpha1.Scope{
		"/v1/metrics": {"POST": v1alpha1.ScopeIngest},
		"/v1/logs":    {"POST": v1alpha1.ScopeIngest},
		"/v1/traces":  {"POST": v1alpha1.ScopeIngest},
		collector + "metrics.v1.MetricsService/Export": {"POST": v1alpha1.ScopeIngest},
		collector + "logs.v1.LogsService/Export":       {"POST": v1alpha1.ScopeIngest},
		collector + "trace.v1.TraceService/Export":     {"POST": v1alpha1.ScopeIngest},
		"/api/v1/dsl":                {"POST": v1alpha1.ScopeQuery},
		"/api/v1/annotations":        {"GET": v1alpha1.ScopeAnnotations, "POST": v1alpha1.ScopeAnnotations},
		"/api/v1/annotations/0af3":   {"GET": v1alpha1.ScopeAnnotations, "PUT": v1alpha1.ScopeAnnotations, "PATCH": v1alpha1.ScopeAnnotations, "DELETE": v1alpha1.ScopeAnnotations},
		"/api/v1/heartbeats":         {"POST": v1alpha1.ScopeHeartbeats},
		"/api/v1/heartbeats/nightly": {"GET": v1alpha1.ScopeHeartbeats, "HEAD": v1alpha1.ScopeHeartbeats, "POST": v1alpha1.ScopeHeartbeats, "PUT": v1alpha1.ScopeHeartbeats},
		// The rest of what Hexcovery serves, and what only looks alike.
		"/":                             nil,
		"/api/v1/sql":                   nil,
		"/api/v1/dsl/":                  nil,
		"/api/v1/dsl/raw":               nil,
		"/api/v1/DSL":                   nil,
		"/api/v1/dashboards":            nil,
		"/api/v1/admin/users":           nil,
		"/api/v1/annotations/":          nil,
		"/api/v1/annotations/a/b":       nil,
		"/api/v1/annotationsx":          nil,
		"/api/v1/heartbeats/":           nil,
		"/api/v1/heartbeats/a/history":  nil,
		"/v1/metrics/":                  nil,
		"/v1/profiles":                  nil,
		"/v1":                           nil,
		collector + "trace.v1.Trace":    nil,
		"/grpc.reflection.v1.Reflect/x": nil,
	}
	table := Default()
	for target, methods := range permitted {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY", "post"} {
			path, err := Judge(target)
			if err != nil {
				t.Fatal(err)
			}
			rule, outcome := table.Lookup(Key, method, path)
			want, ok := methods[method]
			if ok != (outcome == Found) || ok && rule.Scope != scope.Of(want) {
				t.Errorf("%s %s: %v, %v; want %q", method, target, rule, outcome, want)
			}
			if outcome == NotFound && methods != nil {
				t.Errorf("%s %s: not found, although the path is in the surface", method, target)
			}
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	table := Default()
	b.ReportAllocs()
	for b.Loop() {
		path, err := Judge("/api/v1/annotations/deploy-42?full=1")
		if _, outcome := table.Lookup(Key, "DELETE", path); err != nil || outcome != Found {
			b.Fatal(err, outcome)
		}
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	table := Default()
	for _, path := range []Path{"/v1/metrics", "/api/v1/annotations/7", "/nowhere/at/all"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = table.Lookup(Key, "POST", path) }); n != 0 {
			t.Errorf("Lookup(%q) allocates %v times", path, n)
		}
	}
}
