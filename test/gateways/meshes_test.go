// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/hexcovery/apikey-operator/test/gateways/replay"
	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

// Who cannot be asked refuses with a 503 that is empty, or UNAVAILABLE. Over HTTP what
// is no 200 goes to the client as it is, and a 200 without the whole identity is a 503.
func TestEnvoyGatewayRefusesInItsOwnWay(t *testing.T) {
	for _, over := range []string{"grpc", "http"} {
		t.Run(over, func(t *testing.T) {
			w := newWorld(t)
			startReplay(t, w, replayOf("eg-"+over))
			key, conn := w.registry.Accept(t, "acme"), w.connect(t)
			unavailable := func(what string) {
				t.Helper()
				a := w.send(t, "POST", "/v1/metrics", "a batch", with(key), "X-Scope-OrgID: evil", "X-API-Key-ID: evil", "X-API-Key-Name: evil")
				if a.notAllowed(t); a.status != http.StatusServiceUnavailable {
					t.Errorf("%s: %d %q", what, a.status, a.body)
				}
				if arrivals, s := w.export(t, conn, 10, "x-api-key", key.Plaintext); len(arrivals) != 0 || s.Code() != codes.Unavailable {
					t.Errorf("%s: %s %q, and %d calls reached the upstream", what, s.Code(), s.Message(), len(arrivals))
				}
			}
			w.registry.Blind(true)
			unavailable("the auth server cannot decide")
			w.registry.Blind(false)
			for _, answer := range []string{
				reply("200 OK"), reply("200 OK", organization), reply("200 OK", keyID, keyName), reply("200 OK", "X-Scope-OrgID:", keyID, keyName),
				reply("500 Internal Server Error", organization, keyID, keyName), "SSH-2.0-OpenSSH_9.2\r\n",
			} {
				w.pretend(t, answer, func() { unavailable(answer) })
			}
			for _, answer := range []string{"201 Created", "204 No Content", "302 Found", "404 Not Found"} {
				w.pretend(t, reply(answer, organization, keyID, keyName), func() {
					if a := w.send(t, "POST", "/v1/metrics", "a batch", with(key)); len(a.arrivals) != 0 {
						t.Errorf("after %s it reached the upstream", answer)
					}
				})
			}
			w.auth.Lead(rig.Silence)
			unavailable("the auth server hangs")
			w.auth.Vanish()
			unavailable("no auth server")
		})
	}
}

// What a translation would ignore, it refuses.
func TestTranslationsRefuseWhatTheyDoNotKnow(t *testing.T) {
	for _, c := range []struct{ program, file, old, new string }{
		{"istio-http", "meshconfig.yaml", "pathPrefix:", "headersToDownstreamOnAllow: [x]\n    pathPrefix:"},
		{"istio-http", "meshconfig.yaml", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"},
		{"istio-http", "authorizationpolicy.yaml", "- {}", "- to: [{operation: {paths: [/v1/*]}}]"},
		{"istio-http", "virtualservice.yaml", "- uri: {prefix: /}", "- uri: {prefix: /v1}"},
		{"istio-http", "virtualservice.yaml", "timeout: 60s", "rewrite: {uri: /}"},
		{"istio-http", "envoyfilter.yaml", "context: GATEWAY", "context: ANY"},
		{"istio-http", "envoyfilter.yaml", "strip_trailing_host_dot:", "proxy_100_continue:"},

		{"eg-http", "securitypolicy-http.yaml", "path: /auth/envoy", "pathOverride: /auth/envoy"},
		{"eg-http", "securitypolicy-http.yaml", "kind: Gateway", "kind: HTTPRoute"},
		{"eg-http", "gateway.yaml", "escapedSlashesAction: RejectRequest", "escapedSlashesAction: UnescapeAndForward"},
		{"eg-http", "gateway.yaml", `"x.*[^a-z0-9-].*"`, `".*"`},
		{"eg-http", "httproute.yaml", "type: RequestHeaderModifier", "type: CORS"},
		{"eg-http", "httproute.yaml", "type: PathPrefix", "type: Exact"},
	} {
		folder := t.TempDir()
		if err := os.CopyFS(folder, os.DirFS(folderOf(c.program))); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, c.file)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(data, []byte(c.old)) {
			t.Fatalf("there is no %q in %s", c.old, c.file)
		}
		if err := os.WriteFile(path, bytes.ReplaceAll(data, []byte(c.old), []byte(c.new)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := replayOf(c.program).Start(t.Context(), os.DirFS(folder), replay.Options{}); err == nil {
			t.Errorf("%s: %s is taken", c.program, c.new)
		}
	}
}
