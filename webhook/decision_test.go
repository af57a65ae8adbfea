// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/scope"
	"github.com/hexcovery/apikey-operator/internal/surface"
)

func TestDecide(t *testing.T) {
	known := newFakeRegistry()
	d := &decider{authenticator: known, surface: surface.Default()}
	all := known.accept(t, v1alpha1.AllScopes()...)
	ingestOnly := known.accept(t, v1alpha1.ScopeIngest)
	nothing := known.accept(t)
	expired := known.judged(t, registry.Expired)
	undecided := known.judged(t, registry.Undecided)
	unheardOf := known.judged(t, 99)
	unknown, _ := mint(t)

	for name, test := range map[string]struct {
		key, method, target string
		want                Reason
	}{
		"ingest":                {all, "POST", "/v1/metrics", Allowed},
		"narrowed to ingest":    {ingestOnly, "POST", "/v1/traces", Allowed},
		"with a query":          {all, "GET", "/api/v1/annotations?limit=3", Allowed},
		"escaped id":            {all, "DELETE", "/api/v1/annotations/a%20b", Allowed},
		"another scope":         {ingestOnly, "POST", "/api/v1/dsl", ScopeMissing},
		"no scope":              {nothing, "POST", "/v1/metrics", ScopeMissing},
		"another path":          {all, "POST", "/api/v1/sql", NotInSurface},
		"another method":        {all, "GET", "/api/v1/dsl", MethodNotAllowed},
		"lower-case method":     {all, "post", "/api/v1/dsl", MethodNotAllowed},
		"ambiguous path":        {all, "POST", "/v1/metrics/../dsl", AmbiguousPath},
		"no path":               {all, "POST", "", AmbiguousPath},
		"malformed key":         {all[:20], "POST", "/v1/metrics", MalformedKey},
		"key and more":          {all + "x", "POST", "/v1/metrics", MalformedKey},
		"quoted key":            {`"` + all + `"`, "POST", "/v1/metrics", MalformedKey},
		"unknown key":           {unknown, "POST", "/v1/metrics", UnknownKey},
		"expired key":           {expired, "POST", "/v1/metrics", ExpiredKey},
		"undecided":             {undecided, "POST", "/v1/metrics", Undecided},
		"verdict of the future": {unheardOf, "POST", "/v1/metrics", Undecided},
		// Who has no good key learns nothing of the surface.
		"unknown key, another path":     {unknown, "POST", "/nowhere", UnknownKey},
		"unknown key, ambiguous path":   {unknown, "POST", "//", UnknownKey},
		"expired key, another path":     {expired, "POST", "/nowhere", ExpiredKey},
		"undecided, another path":       {undecided, "POST", "/nowhere", Undecided},
		"malformed key, ambiguous path": {"hxk_", "POST", "//", MalformedKey},
	} {
		t.Run(name, func(t *testing.T) {
			got := d.decide(t.Context(), http.Header{keyHeader: {test.key}}, &requestAttributes{method: test.method, target: test.target, refusal: Allowed})
			if got.reason != test.want {
				t.Errorf("%v, want %v", got.reason, test.want)
			}
			if (got.grant == registry.Grant{}) == (got.reason == Allowed) {
				t.Errorf("%v with %+v", got.reason, got.grant)
			}
		})
	}
}

// A rule for dashboard sessions does not exist for keys, whatever their scopes are.
func TestNoKeyIsLetInByARuleForSessions(t *testing.T) {
	known := newFakeRegistry()
	table, err := surface.Parse([]byte(`
apiVersion: auth.hexcovery.io/v1alpha1
kind: Surface
rules:
- {name: people, sessions: true, methods: [GET], paths: [/dashboards]}
- {name: both, scope: query, sessions: true, methods: [GET], paths: [/both]}
`))
	if err != nil {
		t.Fatal(err)
	}
	d := &decider{authenticator: known, surface: table}
	all, nothing := known.accept(t, v1alpha1.AllScopes()...), known.accept(t)
	for _, test := range []struct {
		key, method, target string
		want                Reason
	}{
		{all, "GET", "/dashboards", NotInSurface},
		{all, "POST", "/dashboards", NotInSurface},
		{nothing, "GET", "/dashboards", NotInSurface},
		{all, "GET", "/both", Allowed},
		{nothing, "GET", "/both", ScopeMissing},
	} {
		got := d.decide(t.Context(), http.Header{keyHeader: {test.key}}, &requestAttributes{method: test.method, target: test.target, refusal: Allowed})
		if got.reason != test.want {
			t.Errorf("%s %s: %v, want %v", test.method, test.target, got.reason, test.want)
		}
	}
}

// Whatever surface answers: an empty scope lets no key in.
func TestNoKeyIsLetInByAnEmptyScope(t *testing.T) {
	known := newFakeRegistry()
	d := &decider{authenticator: known, surface: foundWithoutScope{}}
	got := d.decide(t.Context(), http.Header{keyHeader: {known.accept(t, v1alpha1.AllScopes()...)}}, &requestAttributes{method: "GET", target: "/", refusal: Allowed})
	if got.reason != ScopeMissing {
		t.Errorf("%v, want %v", got.reason, ScopeMissing)
	}
}

type foundWithoutScope struct{}

func (foundWithoutScope) Lookup(surface.Caller, string, surface.Path) (*surface.Rule, surface.Outcome) {
	return &surface.Rule{Name: "people", Sessions: true}, surface.Found
}

func TestScopeMissingNamesTheScope(t *testing.T) {
	known := newFakeRegistry()
	d := &decider{authenticator: known, surface: surface.Default()}
	for key, want := range map[string]string{
		known.accept(t, v1alpha1.ScopeIngest): "needs the scope query; the API key has: ingest.",
		known.accept(t):                       "needs the scope query; the API key has none.",
	} {
		got := d.decide(t.Context(), http.Header{keyHeader: {key}}, &requestAttributes{method: "POST", target: "/api/v1/dsl", refusal: Allowed})
		if got.reason != ScopeMissing || !strings.Contains(got.detail, want) {
			t.Errorf("%v: %q", got.reason, got.detail)
		}
	}
}

// An organization that upstreams would read as several, or as none, is let nowhere.
func TestDecideGuardsTheOrganization(t *testing.T) {
	known := newFakeRegistry()
	d := &decider{authenticator: known, surface: surface.Default()}
	for organization, want := range map[string]Reason{
		"acme": Allowed, "Acme_1.b-c": Allowed,
		"": Undecided, "a|b": Undecided, "a b": Undecided, "a,b": Undecided, "a\r\nX: y": Undecided, "ä": Undecided, "a/b": Undecided,
	} {
		key, digest := mint(t)
		known.grants[digest] = registry.Grant{KeyID: "k", Namespace: "n", Name: "m", Organization: organization, Scopes: scope.All()}
		got := d.decide(t.Context(), http.Header{keyHeader: {key}}, &requestAttributes{method: "POST", target: "/v1/logs", refusal: Allowed})
		if got.reason != want {
			t.Errorf("organization %q: %v, want %v", organization, got.reason, want)
		}
	}
}

func TestZeroValuesDoNotAllow(t *testing.T) {
	known := newFakeRegistry()
	d := &decider{authenticator: known, surface: surface.Default()}
	got := d.decide(t.Context(), http.Header{keyHeader: {known.accept(t, v1alpha1.AllScopes()...)}}, &requestAttributes{})
	if got.reason == Allowed || (decision{}).reason == Allowed || Reason(200).Status() == http.StatusOK {
		t.Error("a zero value allows")
	}
}

func TestReasonsAreComplete(t *testing.T) {
	names := map[string]bool{}
	for reason := range reasonCount {
		o := reason.outcome()
		if o.name == "" || names[o.name] || reason.String() != o.name {
			t.Errorf("reason %d: name %q", reason, o.name)
		}
		names[o.name] = true
		if (o.status == http.StatusOK) != (reason == Allowed) || http.StatusText(o.status) == "" {
			t.Errorf("%v has status %d", reason, o.status)
		}
		if reason != Allowed && (o.title == "" || o.detail == "") {
			t.Errorf("%v tells nobody what to do", reason)
		}
	}
}

// typicalHeader is what an agent sends through nginx.
func typicalHeader(key string) http.Header {
	return http.Header{
		keyHeader:           {key},
		"X-Original-Method": {"POST"}, "X-Original-Uri": {"/v1/metrics"},
		"User-Agent": {"OTel OTLP Exporter Go/1.44.0"}, "Content-Type": {"application/x-protobuf"}, "Content-Encoding": {"gzip"},
		"Accept-Encoding": {"gzip"}, "X-Forwarded-For": {"10.0.0.7"}, "X-Forwarded-Proto": {"https"}, "X-Request-Id": {"5f0c"}, "Traceparent": {"00-0-0-00"},
	}
}

func BenchmarkDecide(b *testing.B) {
	known := newFakeRegistry()
	d := &decider{authenticator: known, surface: surface.Default()}
	header := typicalHeader(known.accept(b, v1alpha1.AllScopes()...))
	protected := append(identity{organization: "X-Scope-Orgid"}.names(), "X-Original-Method", "X-Original-Uri")

	b.Run("decision", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if got := d.decide(b.Context(), header, &requestAttributes{method: "POST", target: "/v1/metrics", refusal: Allowed}); got.reason != Allowed {
				b.Fatal(got)
			}
		}
	})
	b.Run("contract and decision", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := originalContract.read(header, protected)
			if got := d.decide(b.Context(), header, &c); got.reason != Allowed {
				b.Fatal(got)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				c := originalContract.read(header, protected)
				if got := d.decide(b.Context(), header, &c); got.reason != Allowed {
					panic(got)
				}
			}
		})
	})
}

func TestDecisionDoesNotAllocate(t *testing.T) {
	known := newFakeRegistry()
	d := &decider{authenticator: known, surface: surface.Default()}
	unknown, _ := mint(t)
	for name, key := range map[string]string{
		"allowed": known.accept(t, v1alpha1.AllScopes()...), "unknown": unknown, "malformed": "hxk_", "missing": "", "foreign": strings.Repeat("x", keys.ForeignMaxLength),
	} {
		header := typicalHeader(key)
		protected := append(identity{organization: "X-Scope-Orgid"}.names(), "X-Original-Method", "X-Original-Uri")
		if n := testing.AllocsPerRun(100, func() {
			c := originalContract.read(header, protected)
			d.decide(t.Context(), header, &c)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
