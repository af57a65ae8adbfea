// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/surface"
)

func TestSurfaceIsReplacedWhileServing(t *testing.T) {
	const head = "apiVersion: auth.hexcovery.io/v1alpha1\nkind: Surface\nrules:\n"
	const metrics, annotations = "- {name: metrics, scope: ingest, methods: [POST], paths: [/v1/metrics]}\n",
		"- {name: annotations, scope: annotations, methods: [GET], paths: [/api/v1/annotations]}\n"
	file := filepath.Join(t.TempDir(), "surface.yaml")
	put := func(content string) {
		t.Helper()
		if err := os.WriteFile(file+"~", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+"~", file); err != nil {
			t.Fatal(err)
		}
	}
	lines := make(chan string, 100)
	logged := func(want string) {
		t.Helper()
		for {
			select {
			case line := <-lines:
				if strings.Contains(line, want) {
					return
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("%q is not logged", want)
			}
		}
	}
	put(head + annotations)
	followed, err := surface.Open(surface.FileConfig{Name: file, Log: funcr.New(func(_, line string) { lines <- line }, funcr.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, func(c *Config) { withProxy(t, "http://127.0.0.1:1")(c); c.Surface = followed })
	logged("watching the surface file")
	key := "X-API-Key: " + h.registry.accept(t, v1alpha1.AllScopes()...)
	check := func(want Reason) {
		t.Helper()
		for contract, headers := range typical { // all of them POST /v1/metrics
			if got := h.ask(t, contract, append([]string{key}, headers...)...); got != want.String() {
				t.Errorf("%s: %s, want %s", contract, got, want)
			}
		}
		response, body := exchange(t, h.proxy, raw("POST /v1/metrics", key, "Content-Length: 0"))
		if want == Allowed {
			want = UpstreamUnavailable // there is none
		}
		if got := readReason(t, response, body); got != want.String() {
			t.Errorf("proxy: %s, want %s", got, want)
		}
	}
	check(NotInSurface)
	put(head + metrics + annotations)
	logged("surface replaced")
	check(Allowed)
	put(head + annotations + metrics[:60]) // cut off
	logged("surface file refused")
	check(Allowed)
	put(head + annotations)
	logged("surface replaced")
	check(NotInSurface)
}
