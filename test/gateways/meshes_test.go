// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/hexcovery/apikey-operator/test/gateways/replay"
	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

// differsIstioGRPC is what Istio has no setting for: docs/gateways/istio.md.
var differsIstioGRPC = []string{
	// Its providers know no second try: what was asked on a connection that breaks is a 503.
	"an auth server that restarts costs nobody a request",
}

// differsGatewayGRPC is what Envoy Gateway cannot do: docs/gateways/envoy-gateway.md. It
// refuses with 503, but Envoy's own refusals have no body.
// TestEnvoyGatewayRefusesInItsOwnWay says what it does instead.
var differsGatewayGRPC = []string{
	"no auth server: 503",
	"an auth server that hangs: 503 within 5 s",
	"an auth server that drips: 503",
	"gRPC: no auth server: UNAVAILABLE",
}

// differsGatewayHTTP is what it cannot do over HTTP, in addition: a 503 of the auth
// server is Envoy's own then, and what else it answers goes to the client as it is.
var differsGatewayHTTP = []string{
	"the auth server cannot decide: 503, to be tried again",
	"something else in its place: not allowed",
	"gRPC: the auth server cannot decide: UNAVAILABLE",
	"gRPC: something else in its place: UNAVAILABLE",
}

// istioFiles are those of a replay that asks over gRPC or HTTP.
func istioFiles(t *testing.T, over string) replay.IstioFiles {
	t.Helper()
	files := replay.IstioFiles{
		MeshConfig:          readConfig(t, "istio", "meshconfig.yaml"),
		AuthorizationPolicy: readConfig(t, "istio", "authorizationpolicy.yaml"),
		VirtualService:      readConfig(t, "istio", "virtualservice.yaml"),
		EnvoyFilter:         readConfig(t, "istio", "envoyfilter.yaml"),
	}
	// The policy names the one for gRPC.
	if over == "http" {
		files.Provider = "apikey-authserver-http"
	}
	return files
}

// startIstio puts a replay of Istio into the world.
func startIstio(t *testing.T, over string, w *world) {
	t.Helper()
	gateway, err := replay.StartIstio(t.Context(), istioFiles(t, over), w.askOver(t, over))
	w.use(t, "istio-"+over, gateway, err)
}

func envoyGatewayFiles(t *testing.T, over string) replay.EnvoyGatewayFiles {
	t.Helper()
	return replay.EnvoyGatewayFiles{
		Gateway:        readConfig(t, "envoy-gateway", "gateway.yaml"),
		HTTPRoute:      readConfig(t, "envoy-gateway", "httproute.yaml"),
		SecurityPolicy: readConfig(t, "envoy-gateway", "securitypolicy-"+over+".yaml"),
	}
}

// startEnvoyGateway puts a replay of Envoy Gateway into the world.
func startEnvoyGateway(t *testing.T, over string, w *world) {
	t.Helper()
	gateway, err := replay.StartEnvoyGateway(t.Context(), envoyGatewayFiles(t, over), w.askOver(t, over))
	w.use(t, "eg-"+over, gateway, err)
}

// askOver starts the auth server for a replay of what configures Envoy.
func (w *world) askOver(t *testing.T, over string) replay.Options {
	t.Helper()
	server := rig.StartAuthServer(t, w.registry, w.sessions, "")
	w.authServer = server.Gateways
	if over == "grpc" {
		w.authServer = server.GRPC
	}
	w.auth = rig.NewSwitch(t, w.authServer)
	w.manners = manners{normalizes: true, refusesNames: true, grpcByType: true}
	return replay.Options{AuthServer: w.auth.Address, AuthServerGRPC: w.auth.Address, Upstream: w.way.Address}
}

// Who cannot be asked refuses with a 503 that is empty, or UNAVAILABLE. Over HTTP what
// is no 200 goes to the client as it is, and a 200 without the whole identity is a 503.
func TestEnvoyGatewayRefusesInItsOwnWay(t *testing.T) {
	for _, over := range []string{"grpc", "http"} {
		t.Run(over, func(t *testing.T) {
			w := newWorld(t)
			startEnvoyGateway(t, over, w)
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
	change := func(data []byte, from, to string) []byte {
		t.Helper()
		if strings.Count(string(data), from) == 0 {
			t.Fatalf("there is no %q", from)
		}
		return []byte(strings.ReplaceAll(string(data), from, to))
	}
	for _, c := range []struct {
		old, new string
		file     func(*replay.IstioFiles) *[]byte
	}{
		{"pathPrefix:", "headersToDownstreamOnAllow: [x]\n    pathPrefix:", func(f *replay.IstioFiles) *[]byte { return &f.MeshConfig }},
		{"MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES", func(f *replay.IstioFiles) *[]byte { return &f.MeshConfig }},
		{"- {}", "- to: [{operation: {paths: [/v1/*]}}]", func(f *replay.IstioFiles) *[]byte { return &f.AuthorizationPolicy }},
		{"- uri: {prefix: /}", "- uri: {prefix: /v1}", func(f *replay.IstioFiles) *[]byte { return &f.VirtualService }},
		{"timeout: 60s", "rewrite: {uri: /}", func(f *replay.IstioFiles) *[]byte { return &f.VirtualService }},
		{"context: GATEWAY", "context: ANY", func(f *replay.IstioFiles) *[]byte { return &f.EnvoyFilter }},
		{"strip_trailing_host_dot:", "proxy_100_continue:", func(f *replay.IstioFiles) *[]byte { return &f.EnvoyFilter }},
	} {
		files := istioFiles(t, "http")
		file := c.file(&files)
		*file = change(*file, c.old, c.new)
		if _, err := replay.StartIstio(t.Context(), files, replay.Options{}); err == nil {
			t.Errorf("Istio: %s is taken", c.new)
		}
	}
	for _, c := range []struct {
		old, new string
		file     func(*replay.EnvoyGatewayFiles) *[]byte
	}{
		{"path: /auth/envoy", "pathOverride: /auth/envoy", func(f *replay.EnvoyGatewayFiles) *[]byte { return &f.SecurityPolicy }},
		{"kind: Gateway", "kind: HTTPRoute", func(f *replay.EnvoyGatewayFiles) *[]byte { return &f.SecurityPolicy }},
		{"escapedSlashesAction: RejectRequest", "escapedSlashesAction: UnescapeAndForward", func(f *replay.EnvoyGatewayFiles) *[]byte { return &f.Gateway }},
		{`"x.*[^a-z0-9-].*"`, `".*"`, func(f *replay.EnvoyGatewayFiles) *[]byte { return &f.Gateway }},
		{"type: RequestHeaderModifier", "type: CORS", func(f *replay.EnvoyGatewayFiles) *[]byte { return &f.HTTPRoute }},
		{"type: PathPrefix", "type: Exact", func(f *replay.EnvoyGatewayFiles) *[]byte { return &f.HTTPRoute }},
	} {
		files := envoyGatewayFiles(t, "http")
		file := c.file(&files)
		*file = change(*file, c.old, c.new)
		if _, err := replay.StartEnvoyGateway(t.Context(), files, replay.Options{}); err == nil {
			t.Errorf("Envoy Gateway: %s is taken", c.new)
		}
	}
}
