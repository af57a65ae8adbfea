// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// ranks reports whether a pattern matches a path, by itself, and how specific it is: the
// kind of each of its segments. It is the documentation, and no tree.
func ranks(pattern, path string) (kinds []segmentKind, ok bool) {
	segments := strings.Split(path[1:], "/")
	wanted := strings.Split(pattern[1:], "/")
	for i, segment := range wanted {
		switch {
		case i >= len(segments):
			return nil, false
		case strings.HasSuffix(segment, "...}"):
			return append(kinds, multiple), segments[i] != ""
		case strings.HasPrefix(segment, "{"):
			if segments[i] == "" {
				return nil, false
			}
			kinds = append(kinds, single)
		default:
			if segments[i] != segment {
				return nil, false
			}
			kinds = append(kinds, literal)
		}
	}
	return kinds, len(wanted) == len(segments)
}

// hole reports whether a path has, after what matches the beginning of a pattern, the next
// literal of it in another case, and no other pattern has there what the path has. What
// is below is nobody's. The kinds are as of a pattern that ends there.
func hole(pattern string, patterns []string, path string) (kinds []segmentKind, ok bool) {
	segments := strings.Split(path[1:], "/")
	wanted := strings.Split(pattern[1:], "/")
	for i := range min(len(wanted), len(segments)) {
		if strings.HasPrefix(wanted[i], "{") || wanted[i] == segments[i] || !strings.EqualFold(wanted[i], segments[i]) {
			continue
		}
		begins := func(with ...string) func(string) bool {
			beginning := "/" + strings.Join(append(slices.Clone(wanted[:i]), with...), "/")
			return func(other string) bool { return strings.HasPrefix(nameless(other)+"/", nameless(beginning)+"/") }
		}
		if i > 0 {
			kinds, ok = ranks("/"+strings.Join(wanted[:i], "/"), "/"+strings.Join(segments[:i], "/"))
		}
		return append(kinds, literal), (i == 0 || ok) && !slices.ContainsFunc(patterns, begins(segments[i]))
	}
	return nil, false
}

// nameless gives all parameters of a pattern one name.
func nameless(pattern string) string {
	segments := strings.Split(pattern, "/")
	for i, segment := range segments {
		if strings.HasPrefix(segment, "{") && !strings.HasSuffix(segment, "...}") {
			segments[i] = "{}"
		}
	}
	return strings.Join(segments, "/")
}

// mostSpecific is the one pattern that should decide, "" if none matches; holed says that
// one would, but for the case of a literal.
func mostSpecific(patterns []string, path string) (best string, holed bool) {
	var rank []segmentKind
	for _, pattern := range patterns {
		if kinds, ok := ranks(pattern, path); ok && (rank == nil || slices.Compare(kinds, rank) < 0) {
			best, rank, holed = pattern, kinds, false
		}
		if kinds, ok := hole(pattern, patterns, path); ok && (rank == nil || slices.Compare(kinds, rank) < 0) {
			best, rank, holed = "", kinds, true
		}
	}
	return best, holed
}

// tableOf makes a table of the patterns that can stand in one: GET of each. One that is
// refused makes its table useless, so it is tried on another.
func tableOf(patterns []string) (*Table, []string) {
	table, taken := &Table{}, []string{}
	for _, pattern := range patterns {
		tried := append(slices.Clone(taken), pattern)
		if next, ok := tableOfAll(tried); ok {
			table, taken = next, tried
		}
	}
	return table, taken
}

func tableOfAll(patterns []string) (table *Table, ok bool) {
	table, names := &Table{}, map[string]bool{}
	for i, pattern := range patterns {
		rule := ruleConfig{Name: fmt.Sprint(i), Scope: v1alpha1.ScopeQuery, Methods: []string{"GET"}, Paths: []string{pattern}}
		if table.add(&rule, names) != nil {
			return nil, false
		}
	}
	return table, true
}

// checkLookup compares a lookup with the documentation, with Explain, and with a ServeMux
// where that takes the patterns.
func checkLookup(t *testing.T, patterns []string, path Path) {
	t.Helper()
	table, patterns := tableOf(patterns)
	want, holed := mostSpecific(patterns, string(path))
	var got string
	if bindings := table.match(path); len(bindings) > 0 {
		got = bindings[0].pattern
	}
	if got != want {
		t.Fatalf("%q of %q: decided by %q, want %q", path, patterns, got, want)
	}
	for _, method := range []string{"GET", "POST"} {
		outcome := NotFound
		if want != "" {
			outcome = OtherMethod
			if method == "GET" {
				outcome = Found
			}
		}
		rule, answer := table.Lookup(Key, method, path)
		e := table.Explain(method, string(path))
		if answer != outcome || (rule != nil) != (outcome == Found) || e.Key.Outcome != outcome || e.Key.Entry.Rule != rule || e.Ambiguity != nil ||
			(len(e.Matched) > 0) != (want != "") {
			t.Fatalf("%s %q of %q: %v, and %+v; want %v", method, path, patterns, answer, e, outcome)
		}
	}
	if !holed {
		checkServeMux(t, patterns, path, want)
	}
}

type muxed string

func (muxed) ServeHTTP(http.ResponseWriter, *http.Request) {}

// forServeMux writes a pattern as ServeMux has it: a trailing slash that is only itself,
// and names that do not repeat.
func forServeMux(pattern string) string {
	segments := strings.Split(pattern, "/")
	for i, segment := range segments {
		switch {
		case strings.HasSuffix(segment, "...}"):
			segments[i] = fmt.Sprintf("{x%d...}", i)
		case strings.HasPrefix(segment, "{"):
			segments[i] = fmt.Sprintf("{x%d}", i)
		case segment == "" && i == len(segments)-1:
			segments[i] = "{$}"
		}
	}
	return strings.Join(segments, "/")
}

// serveMux returns nil if ServeMux finds that two of the patterns contradict each other.
func serveMux(patterns []string) (mux *http.ServeMux) {
	defer func() {
		if recover() != nil {
			mux = nil
		}
	}()
	mux = http.NewServeMux()
	for _, pattern := range patterns {
		mux.Handle(forServeMux(pattern), muxed(pattern))
	}
	return mux
}

func checkServeMux(t *testing.T, patterns []string, path Path, want string) {
	t.Helper()
	mux := serveMux(patterns)
	if mux == nil {
		return
	}
	u, err := url.ParseRequestURI(string(path))
	if err != nil {
		t.Fatal(err)
	}
	handler, _ := mux.Handler(&http.Request{Method: http.MethodGet, URL: u, Host: "host"})
	got, ok := handler.(muxed)
	if !ok && handler != nil && fmt.Sprintf("%T", handler) == "*http.redirectHandler" {
		return // to the path with a slash behind, which is another one here
	}
	if strings.HasSuffix(string(got), "...}") && strings.HasSuffix(string(path), "/") && strings.Count(string(got), "/") == strings.Count(string(path), "/") {
		return // nothing below: ServeMux takes that for {path...}, and a surface does not
	}
	if string(got) != want {
		t.Fatalf("%q of %q: ServeMux decides by %q, and the surface by %q", path, patterns, got, want)
	}
}

func FuzzLookup(f *testing.F) {
	for _, seed := range [][2]string{
		{"/a /b", "/a"}, {"/a/{x} /a/b /a/{rest...}", "/a/b"}, {"/a/{x} /a/b/c /a/{rest...}", "/a/b/d"}, {"/{x}/b /a/{y} /a/b", "/a/b"},
		{"/a/ /a/{x}", "/a/"}, {"/a/{rest...}", "/a/"}, {"/a/{rest...} /{all...}", "/a/"}, {"/ /{all...}", "/"}, {"/{x}/{y}/c /a/{y}/d /{r...}", "/a/b/c"},
		{"/a/{x} /a/b", "/a/%20"}, {"/v1.S/M", "/v1.S/M"}, {"/a/{x}/c /a/b/{y} /a/b/c", "/a/b/c"}, {"/a/{x}/ /a/{x}", "/a/b/"}, {"/a/{x} /a/b", "/a/B"}, {"/{x}/{y} /a/b /A/{x}", "/A/b"}, {"/{x}/{y} /a/b", "/a/B"}, {"/{x}/{y} /a/!", "/A/0"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, patterns, target string) {
		if path, err := Judge(target); err == nil {
			checkLookup(t, strings.Fields(patterns), path)
		}
	})
}

// Few names make many patterns match one path.
func TestLookupIsAsDocumented(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	compared := 0
	for range 1000 {
		var patterns []string
		for range 1 + random.IntN(8) {
			var segments []string
			for range random.IntN(4) {
				segments = append(segments, pick([]string{"a", "b", "B", "{x}", "{y}"}))
			}
			patterns = append(patterns, "/"+strings.Join(append(segments, pick([]string{"a", "b", "{x}", "", "{r...}"})), "/"))
		}
		for range 10 {
			var segments []string
			for range random.IntN(4) {
				segments = append(segments, pick([]string{"a", "b", "B", "c", "%20"}))
			}
			path := Path("/" + strings.Join(append(segments, pick([]string{"a", "b", "c", ""})), "/"))
			checkLookup(t, patterns, path)
		}
		if _, taken := tableOf(patterns); serveMux(taken) != nil {
			compared++
		}
	}
	if compared < 300 {
		t.Errorf("only %d tables were compared with a ServeMux", compared)
	}
}

// Every rule of a surface that is accepted decides some request: none is in the file for
// nothing.
func FuzzParse(f *testing.F) {
	f.Add(string(defaultYAML))
	f.Add(mixed)
	for _, paths := range []string{"/, /a/", "'/{x}', '/{x...}'", "/a.b~c-d_e/...", "/.a", "'/a/{x}/b', '/a/{x}/{y...}', /a/b/b"} {
		f.Add(strings.Replace(naming("/first"), "/first", paths, 1))
	}
	f.Fuzz(func(t *testing.T, yaml string) {
		table, err := Parse([]byte(yaml))
		if err != nil {
			return
		}
		// What no pattern names, and more of it than any pattern has.
		other, depth := "z", 1
		for _, entry := range table.Entries() {
			other, depth = other+strings.Repeat("z", len(entry.Pattern)), depth+strings.Count(entry.Pattern, "/")
		}
		for _, entry := range table.Entries() {
			segments := strings.Split(entry.Pattern, "/")
			for i, segment := range segments {
				switch {
				case strings.HasSuffix(segment, "...}"):
					segments[i] = other + strings.Repeat("/"+other, depth)
				case strings.HasPrefix(segment, "{"):
					segments[i] = other
				}
			}
			path, err := Judge(strings.Join(segments, "/"))
			if errors.Is(err, errTooLong) {
				continue
			}
			if err != nil {
				t.Fatalf("%s: no request matches: %v", entry.Pattern, err)
			}
			for _, method := range entry.Methods {
				for _, caller := range []Caller{Key, Session} {
					rule, _ := table.Lookup(caller, method, path)
					if (rule == entry.Rule) != entry.Rule.permits(caller) {
						t.Fatalf("%s %s: decided by %+v, want %+v", method, path, rule, entry.Rule)
					}
				}
			}
		}
	})
}
