// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mutant is a configuration of config/gateways in which something that it needs is
// missing or wrong.
type mutant struct {
	gateway string
	name    string
	// edits are made in this order.
	edits []edit
	// check is the row of the table that has to fail.
	check string
}

// edit replaces what occurs exactly once.
type edit struct{ file, old, new string }

// TestMutants breaks the configurations, and fails unless the table notices: what is
// not seen to fail proves nothing.
func TestMutants(t *testing.T) {
	if *configFolder != "" {
		t.Fatal("-config is for TestGateways")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range slices.Concat(mutants(), replayMutants(), meshMutants()) {
		t.Run(m.gateway+"/"+m.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			if err := os.CopyFS(folder, os.DirFS(folderOf(m.gateway))); err != nil {
				t.Fatal(err)
			}
			for _, e := range m.edits {
				e.apply(t, folder)
			}
			run := fmt.Sprintf("^TestGateways$/^%s$/^%s$", m.gateway, regexp.QuoteMeta(strings.ReplaceAll(m.check, " ", "_")))
			output, err := exec.CommandContext(t.Context(), program, "-test.run="+run, "-config="+folder, "-test.v").CombinedOutput()
			if err == nil {
				t.Errorf("%q is still ok", m.check)
			} else if !strings.Contains(string(output), "gateways: "+m.gateway+" is ready") || !strings.Contains(string(output), "--- FAIL: TestGateways/"+m.gateway+"/") {
				t.Errorf("the check did not run: %v\n%s", err, output)
			}
		})
	}
}

func (e edit) apply(t *testing.T, folder string) {
	t.Helper()
	path := filepath.Join(folder, e.file)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), e.old); n != 1 {
		t.Fatalf("%q occurs %d times in %s", e.old, n, e.file)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), e.old, e.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// one is a mutant with one edit.
func one(gateway, name, file, old, replacement, check string) mutant {
	return mutant{gateway, name, []edit{{file, old, replacement}}, check}
}

// The rows that mutants fail.
const (
	goodKey      = "a good key reaches the upstream, as its organization"
	noKey        = "no key: 401"
	session      = "a session reaches what is for sessions, as its organization"
	unknownKey   = "an unknown key: 401"
	otherMethods = "other methods are refused"
	twoKeys      = "two keys, or a key and a session: 401"
	spoofed      = "identity headers of a client do not arrive"
	deceiving    = "other headers that deceive do not arrive"
	elsewhere    = "something else in its place: not allowed"
	hanging      = "an auth server that hangs: 503 within 5 s"
	blind        = "the auth server cannot decide: 503, to be tried again"
	revoked      = "a revoked key is refused with the next request of the connection"
	answers      = "what the upstream answers is what the client gets"
	uncached     = "no cache keeps an answer"
	twoReadings  = "a path with two readings is refused"
	bytewise     = "a path arrives byte for byte"
	otherPath    = "the upstream sees no other path than was judged"
	protocols    = "no other protocol gets through"
	connection   = "Connection takes no header away"
	grpcGood     = "gRPC: a good key"
	grpcRefused  = "gRPC: no key, an unknown key, two keys: UNAUTHENTICATED"
	grpcSpoofed  = "gRPC: identity in metadata does not arrive"
	plainHTTP2   = "HTTP/2 that is no gRPC"
	noGRPC       = "what is no gRPC is not told 200, whatever its path"
)

func mutants() []mutant {
	const (
		serverConf, headersConf, httpConf = "server.conf", "headers.conf", "http.conf"
		cfg, lua                          = "haproxy.cfg", "hexcovery-auth.lua"
		caddyfile                         = "Caddyfile"
	)
	return []mutant{
		one("nginx", "does not ask", serverConf, "auth_request /_hexcovery/auth;", "", noKey),
		{"nginx", "tells the path with slashes merged", []edit{
			{httpConf, "# Nobody is there: 502.", `map $request_uri $merged { "~^//(?<rest>.*)$" /$rest; default $request_uri; }`},
			{serverConf, "X-Original-URI    $request_uri", "X-Original-URI $merged"},
		}, twoReadings},
		one("nginx", "asks without the session", serverConf, `proxy_set_header Host apikey-authserver;`, `proxy_set_header Host apikey-authserver; proxy_set_header Authorization "";`, session),
		one("haproxy", "asks without the session", lua, `"upgrade", "http2-settings",`, `"upgrade", "authorization", "http2-settings",`, session),
		one("caddy", "keeps the session from the upstream", caddyfile, "request_header -Cookie2", "request_header -Authorization", session),
		one("nginx", "tells another method", serverConf, "X-Original-Method $request_method", "X-Original-Method POST", otherMethods),
		one("nginx", "forwards the path decoded", serverConf, "http://$hexcovery_api_upstream;", "http://$hexcovery_api_upstream$uri;", bytewise),
		one("nginx", "needs no identity", httpConf, "default 0;", "default 1;", elsewhere),
		one("nginx", "takes any 2xx", httpConf, `)*200 `, `)*2\d\d `, elsewhere),
		one("nginx", "waits too long", serverConf, "proxy_read_timeout    2s;", "proxy_read_timeout 8s;", hanging),
		one("nginx", "leaves 500", serverConf, "error_page 500 = @hexcovery_${hexcovery_language}_503;", "", blind),
		one("nginx", "loses the problem", serverConf, "error_page 401 = @hexcovery_${hexcovery_language}_401;", "", unknownKey),
		one("nginx", "answers for the upstream", serverConf, "proxy_intercept_errors off;", "proxy_intercept_errors on;", answers),
		one("nginx", "reads the body first", serverConf, "proxy_request_buffering off;", "", "a body is streamed"),
		one("nginx", "takes small bodies only", serverConf, "client_max_body_size 64m;", "", "a body of 8 MB arrives whole"),
		one("nginx", "lets answers be cached", serverConf, "proxy_hide_header Cache-Control;", "", uncached),
		one("nginx", "sends no organization", headersConf, "proxy_set_header X-Scope-OrgID  $hexcovery_organization;", "", spoofed),
		one("nginx", "sends no organization in gRPC", headersConf, "grpc_set_header  X-Scope-OrgID  $hexcovery_organization;", "", grpcSpoofed),
		one("nginx", "sends the key on", headersConf, `proxy_set_header X-API-Key "";`, "", goodKey),
		one("nginx", "sends cookies on", headersConf, `proxy_set_header Cookie    "";`, "", deceiving),
		one("nginx", "lets the client name another path", headersConf, `proxy_set_header X-Rewrite-URL          "";`, "", deceiving),
		one("nginx", "does not speak gRPC", httpConf, `"~^h2c? `, `"~^never `, grpcRefused),
		one("nginx", "speaks gRPC with everybody", httpConf, `"~^h2c? application/grpc(\+.*|;.*)?$"`, `"~."`, noGRPC),
		{"nginx", "caches answers", []edit{
			{httpConf, "# Nobody is there: 502.", "proxy_cache_path cache keys_zone=k:1m;"},
			{serverConf, "    proxy_pass_request_body off;\n    proxy_cache off;", "    proxy_pass_request_body off;\n    proxy_cache k; proxy_cache_valid 200 1m; proxy_cache_key $http_x_api_key; proxy_ignore_headers Cache-Control;"},
		}, revoked},

		{"haproxy", "does not ask", []edit{
			{cfg, "    http-request lua.hexcovery-auth\n", ""},
			{cfg, "unless { var(txn.hexcovery_allowed) -m bool }", "if { always_false }"},
		}, noKey},
		one("haproxy", "tells the path decoded", lua, "{ txn.sf:pathq() }", "{ txn.sc:url_dec(txn.sf:pathq()) }", twoReadings),
		one("haproxy", "tells another method", lua, "{ txn.sf:method() }", `{ "POST" }`, otherMethods),
		one("haproxy", "needs no identity", lua, "if organization and id and name then", `organization, id, name = organization or "x", id or "x", name or "x" if true then`, elsewhere),
		one("haproxy", "takes any 2xx", lua, "answer.status == 200 then", "answer.status >= 200 and answer.status < 300 then", elsewhere),
		one("haproxy", "shows one key of two", lua, "for i = 0, #values do", "for i = 0, 0 do", twoKeys),
		one("haproxy", "waits too long", cfg, "timeout server  2s", "timeout server 20s", hanging),
		one("haproxy", "loses the problem", lua, `answer.status, answer.body or ""`, `answer.status, ""`, unknownKey),
		one("haproxy", "sends no organization", cfg, "http-request set-header X-Scope-OrgID  %[var(txn.hexcovery_organization)]", "", spoofed),
		one("haproxy", "sends the key on", cfg, "http-request del-header X-API-Key\n", "", goodKey),
		one("haproxy", "sends cookies on", cfg, "http-request del-header Cookie\n", "", deceiving),
		one("haproxy", "sends on what a client says it asked for", cfg, "http-request del-header x-original- -m beg", "", deceiving),
		one("haproxy", "sends on where a client says it is", cfg, "http-request del-header x-forwarded- -m beg", "", deceiving),
		one("haproxy", "forwards URLs", cfg, "if !{ req.ver 2.0 } !{ url -m beg / }", "if { always_false }", otherPath),
		{"haproxy", "lets other protocols through", []edit{
			{cfg, "if { req.fhdr(upgrade) -m found }", "if { always_false } { req.fhdr(upgrade) -m found }"},
			{cfg, "http-request del-header Upgrade\n", "\n"},
		}, protocols},
		one("haproxy", "lets answers be cached", cfg, "http-response set-header Cache-Control no-store", "", uncached),
		one("haproxy", "forwards gRPC over HTTP/1.1", cfg, " proto h2", "", grpcGood),
		one("haproxy", "does not speak gRPC", lua, "local grpc = isGRPC(txn)", "local grpc = false", grpcRefused),
		one("haproxy", "speaks gRPC with HTTP/1.1", lua, `txn.sf:req_ver() == "2.0" and`, "", noGRPC),

		one("caddy", "takes any 2xx", caddyfile, "status 200\n", "status 2xx\n", elsewhere),
		{"caddy", "needs no identity", []edit{
			{caddyfile, "\t\t\t\theader X-Scope-OrgID *\n\t\t\t\theader X-API-Key-ID *\n\t\t\t\theader X-API-Key-Name *\n", ""},
			{caddyfile, "\t\t\tnot vars {vars.hexcovery_organization} \"\"\n\t\t\tnot vars {vars.hexcovery_key_id} \"\"\n\t\t\tnot vars {vars.hexcovery_key_name} \"\"\n", ""},
		}, elsewhere},
		one("caddy", "passes on what is no answer", caddyfile, "\t\t\thandle_response {\n\t\t\t\timport hexcovery_undecided\n\t\t\t}\n", "", elsewhere),
		one("caddy", "tells the path decoded", caddyfile, "X-Forwarded-Uri {uri}", "X-Forwarded-Uri {path}", twoReadings),
		one("caddy", "tells another method", caddyfile, "X-Forwarded-Method {method}", "X-Forwarded-Method POST", otherMethods),
		one("caddy", "asks with the body", caddyfile, "method GET", "method POST", "a body of 8 MB arrives whole"),
		one("caddy", "waits too long", caddyfile, "response_header_timeout 2s", "response_header_timeout 8s", hanging),
		one("caddy", "sends no organization", caddyfile, "request_header X-Scope-OrgID {vars.hexcovery_organization}", "", spoofed),
		one("caddy", "sends the key on", caddyfile, "request_header -X-API-Key\n", "\n", goodKey),
		one("caddy", "sends cookies on", caddyfile, "\t\t\trequest_header -Cookie\n", "\n", deceiving),
		one("caddy", "sends on where a client says it is", caddyfile, "request_header -X-Forwarded-*", "", deceiving),
		one("caddy", "heeds Connection", caddyfile, "request_header -Connection", "", connection),
		one("caddy", "lets answers be cached", caddyfile, "header_down Cache-Control no-store", "", uncached),
		one("caddy", "forwards gRPC over HTTP/1.1", caddyfile, "@grpc h2c://", "@grpc ", grpcGood),
		one("caddy", "speaks gRPC with all of HTTP/2", caddyfile, "\t\t\t\t\theader_regexp Content-Type ^application/grpc([+;].*)?$\n", "", plainHTTP2),
	}
}
