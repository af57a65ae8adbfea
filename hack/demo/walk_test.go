// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"strings"
	"testing"
)

// wellFormed is one of the test vectors of keys.
const wellFormed = "hxk_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp11WgB5D"

func newTestWalk(out *bytes.Buffer, variables ...string) *walk {
	return &walk{out: out, keys: map[string]string{}, environment: append(os.Environ(), variables...)}
}

func TestCommandIsWhatIsSent(t *testing.T) {
	var wire []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		wire, _ = httputil.DumpRequest(r, true)
	}))
	defer server.Close()
	var out bytes.Buffer
	w := newTestWalk(&out, "AUTH_SERVER_1="+server.URL, "no_proxy=127.0.0.1")
	const command = `curl -si $AUTH_SERVER_1/api/v1/dsl -H "X-API-Key: $HEXCOVERY_API_KEY" -H 'Content-Type: application/json' -d '{"query": "it'\''s"}'`
	for _, line := range []string{`$ export HEXCOVERY_API_KEY="$(echo ` + wellFormed + `)"`, "$ " + command, "+ HTTP/1.1 200 OK"} {
		if err := w.do(t.Context(), line); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(out.String(), "    $ "+command+"\n      HTTP/1.1 200 OK\n") {
		t.Errorf("printed:\n%s", &out)
	}
	for _, part := range []string{"POST /api/v1/dsl HTTP/1.1", "X-Api-Key: " + wellFormed + "\r\n", "Content-Type: application/json\r\n", `{"query": "it's"}`} {
		if !bytes.Contains(wire, []byte(part)) {
			t.Errorf("no %q in\n%s", part, wire)
		}
	}
}

func TestWant(t *testing.T) {
	wanted := []string{"+ HTTP/1.1 200 OK", "+ a", "+ b", "- c"}
	for _, test := range []struct {
		status int
		body   string
		met    bool
	}{{200, "ab", true}, {201, "ab", false}, {200, "a", false}, {200, "abc", false}} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		}))
		defer server.Close()
		w := newTestWalk(&bytes.Buffer{}, "no_proxy=127.0.0.1")
		if err := w.do(t.Context(), "$ curl -si "+server.URL); err != nil {
			t.Fatal(err)
		}
		met := true
		for _, line := range wanted {
			met = w.do(t.Context(), line) == nil && met
		}
		if met != test.met {
			t.Errorf("%d %q: %v", test.status, test.body, met)
		}
	}
}

func TestCommandsEndAsTheyHaveTo(t *testing.T) {
	for line, met := range map[string]bool{
		"$ true":                             true,
		"$ false":                            false,
		"! true":                             false,
		"! false":                            true,
		"$ export A_KEY=" + wellFormed:       true,
		"$ export A_KEY=" + wellFormed + "0": false,
		`$ export A_KEY="$(false)"`:          false,
	} {
		if err := newTestWalk(&bytes.Buffer{}).do(t.Context(), line); (err == nil) != met {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestPrinterKeepsSecrets(t *testing.T) {
	var out bytes.Buffer
	w := newTestWalk(&out)
	w.keys["A_KEY"] = "hxk_secret"
	w.say("nothing to hide")
	if w.leaked != nil {
		t.Error("it says that a secret was printed")
	}
	w.say("the key is hxk_secret")
	if w.leaked == nil || strings.Contains(out.String(), "hxk_secret") {
		t.Errorf("printed:\n%s", &out)
	}
}

// An answer of curl that nothing is expected of could be any.
func TestLifeSaysWhichStatusIsExpected(t *testing.T) {
	lines := strings.Split(life, "\n")
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "$ curl ") && !strings.HasPrefix(strings.TrimSpace(lines[i+1]), "+ HTTP/1.1 ") {
			t.Errorf("line %d says no status after %s", i+2, line)
		}
	}
}
