// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestJudgeAccepts(t *testing.T) {
	for target, want := range map[string]Path{
		"/":                    "/",
		"/v1/metrics":          "/v1/metrics",
		"/v1/metrics/":         "/v1/metrics/",
		"/v1/metrics?":         "/v1/metrics",
		"/a?b=c?d=/../%2f;x":   "/a",
		"/a/b%20c":             "/a/b%20c",
		"/a/deploy%3Amyapp":    "/a/deploy%3Amyapp",
		"/a/deploy%3amyapp":    "/a/deploy%3amyapp",
		"/a/deploy:myapp@1":    "/a/deploy:myapp@1",
		"/a/.hidden/..b/c../d": "/a/.hidden/..b/c../d",
		"/a/...":               "/a/...",
		"/a?q=ü":               "/a",
		"/" + strings.Repeat("a", MaxPathBytes-1): Path("/" + strings.Repeat("a", MaxPathBytes-1)),
	} {
		if got, err := Judge(target); err != nil || got != want {
			t.Errorf("Judge(%q) = %q, %v; want %q", target, got, err, want)
		}
	}
}

func TestJudgeRefusesWhatHasMoreThanOneReading(t *testing.T) {
	for _, test := range []struct {
		want    error
		targets []string
	}{
		{errNotOrigin, []string{"", "*", "v1/metrics", "http://host/v1/metrics", "host:443", "?a=/v1", "\\v1", " /v1", "%2fv1"}},
		{errTooLong, []string{"/" + strings.Repeat("a", MaxPathBytes), "/" + strings.Repeat("a", MaxPathBytes) + "?b"}},
		{errEmpty, []string{"//", "//host/v1/metrics", "/v1//metrics", "/v1/metrics//", "/v1/metrics//?q"}},
		{errDot, []string{"/.", "/..", "/./a", "/../a", "/a/.", "/a/..", "/a/./b", "/a/../b", "/a/..?q", "/v1/metrics/../../admin"}},
		{errParameter, []string{"/a;b", "/a/..;/b", "/;", "/a;?q"}},
		{errEscape, []string{"/%", "/a%", "/a%2", "/%zz", "/%2", "/%g0", "/a%?20", "/a%2/b", "/%u002f"}},
		{errEscaped, []string{
			"/a%2fb", "/a%2Fb", "/a%5cb", "/a%5Cb", "/%2e%2e/b", "/a/.%2E", "/a%2eb", "/a%00", "/a%25", "/a%252fb", "/a%25%32%66b",
			"/%61", "/v1/m%65trics", "/%30", "/a%2Db", "/a%5fb", "/a%7eb", "/a%3bb", "/a%3Fb", "/a%23b", "/a%0a", "/a%0Db", "/a%09",
			"/a%7f", "/a%c0%af", "/a%80", "/a%C3%BC", "/a%ff", "/%ef%bc%8f",
		}},
		{errRaw, []string{
			"/a b", "/a\tb", "/a\x00b", "/a\nb", "/a\x7fb", `/a\b`, `/..\b`, "/a#b", "/a?b#c", "/a?b c", "/a?b\r\nX: y", "/a?\x00",
			"/a\"b", "/<a>", "/[a]", "/a^b", "/a`b", "/{id}", "/a|b", "/ü", "/\xff", "/a\u2215b",
		}},
	} {
		for _, target := range test.targets {
			got, err := Judge(target)
			if got != "" || !errors.Is(err, test.want) {
				t.Errorf("Judge(%q) = %q, %v; want %v", target, got, err, test.want)
			}
		}
	}
}

// What is accepted has to be what everybody else reads: net/url, which gateways
// written in Go and this server's own proxy go by, and a cleaned path, which is
// what servers look up.
func FuzzJudge(f *testing.F) {
	for _, seed := range []string{
		"/", "/v1/metrics", "/a/b%20c?d=e", "/a%2fb", "/a/../b", "/a//b", "/a/b/", "/a%61", "/a;b", "/%c3%bc", "/a?b?c#d", "//host/a", "/a%2541", "/..%00/", "/a%3A",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		judged, err := Judge(target)
		if err != nil {
			var ambiguity AmbiguityError
			if judged != "" || !errors.As(err, &ambiguity) {
				t.Fatalf("Judge(%q) = %q, %#v", target, judged, err)
			}
			return
		}
		rawPath, rawQuery, _ := strings.Cut(target, "?")
		if string(judged) != rawPath {
			t.Fatalf("Judge(%q) = %q", target, judged)
		}
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatalf("net/url refuses %q: %v", target, err)
		}
		if u.Host != "" || u.Scheme != "" || u.EscapedPath() != rawPath || u.RawQuery != rawQuery {
			t.Fatalf("net/url reads %q as %#v", target, u)
		}
		checkDecoded(t, target, rawPath, u.Path)
		if again, err := Judge(u.RequestURI()); err != nil || again != judged {
			t.Fatalf("%q is forwarded as %q", target, u.RequestURI())
		}
	})
}

// checkDecoded proves that decoding does not change how a path is cut, cleaned,
// or decoded once more.
func checkDecoded(t *testing.T, target, rawPath, decoded string) {
	t.Helper()
	if path.Clean(decoded) != strings.TrimSuffix(decoded, "/") && decoded != "/" {
		t.Fatalf("%q is cleaned to %q", target, path.Clean(decoded))
	}
	if strings.Count(decoded, "/") != strings.Count(rawPath, "/") {
		t.Fatalf("%q has other segments when it is decoded: %q", target, decoded)
	}
	if strings.ContainsAny(decoded, `\;%?#`) || !utf8.ValidString(decoded) {
		t.Fatalf("%q decodes to %q", target, decoded)
	}
	for _, r := range decoded {
		if r < ' ' || r >= 0x7f {
			t.Fatalf("%q decodes to %q", target, decoded)
		}
	}
}

func TestJudgeDoesNotAllocate(t *testing.T) {
	for _, target := range []string{"/v1/metrics", "/a/b%20c?d=e", "/a/../b", "/a%2fb"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = Judge(target) }); n != 0 {
			t.Errorf("Judge(%q) allocates %v times", target, n)
		}
	}
}
