// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestCommandIsWhatIsSent(t *testing.T) {
	key := credential{variable: "HEXCOVERY_API_KEY", value: "hxk_secret"}
	r := withKey("POST", "http://127.0.0.1:1/api/v1/dsl", key, `{"query": "it's"}`)
	const want = `curl -s http://127.0.0.1:1/api/v1/dsl -H "X-API-Key: $HEXCOVERY_API_KEY" -H 'Content-Type: application/json' -d '{"query": "it'\''s"}'`
	if got := r.command(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	sent, err := r.build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var wire bytes.Buffer
	if err := sent.Write(&wire); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"POST /api/v1/dsl HTTP/1.1", "X-Api-Key: hxk_secret\r\n", "Content-Type: application/json\r\n", `{"query": "it's"}`} {
		if !strings.Contains(wire.String(), part) {
			t.Errorf("no %q in\n%s", part, &wire)
		}
	}
}

func TestWant(t *testing.T) {
	wanted := want{status: 200, contains: []string{"a", "b"}, lacks: []string{"c"}}
	for _, test := range []struct {
		status int
		body   string
		met    bool
	}{{200, "ab", true}, {201, "ab", false}, {200, "a", false}, {200, "abc", false}} {
		if met := wanted.metBy(test.status, test.body); met != test.met {
			t.Errorf("%d %q: %v", test.status, test.body, met)
		}
	}
}

func TestWords(t *testing.T) {
	got := words("kubectl get secret x -o go-template='{{index .data \"api-key\" | base64decode}}'")
	want := []string{"kubectl", "get", "secret", "x", "-o", `go-template={{index .data "api-key" | base64decode}}`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestPrinterKeepsSecrets(t *testing.T) {
	var out bytes.Buffer
	p := newPrinter(&out, false)
	p.conceal("hxk_secret")
	p.answer("nothing to hide")
	if p.hasLeaked() {
		t.Error("it says that a secret was printed")
	}
	p.answer("the key is hxk_secret")
	if !p.hasLeaked() || strings.Contains(out.String(), "hxk_secret") {
		t.Errorf("printed:\n%s", &out)
	}
}
