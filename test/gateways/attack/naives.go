// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/scope"
	"github.com/hexcovery/apikey-operator/test/gateways/attack/wire"
	"github.com/hexcovery/apikey-operator/test/readings"
)

// Naives are the naive gateways: what is weak in each, and who had that.
var Naives = map[string]Naive{
	// They believe what clients write into headers, or into the target.

	// Forwards all but its own headers, and HTTP/2 as HTTP/1.1 word for word: CVE-2018-14773 (Symfony
	// reads X-Original-URL), CVE-2016-5385, CVE-2021-21295 (netty), portswigger.net/research/http2.
	"verbatim": {},
	// Asks about the path and method in the first header that seems to hold them: CVE-2026-40575
	// (oauth2-proxy, X-Forwarded-Uri).
	"believes-headers": {view: func(r *wire.Request) {
		believe(r, strings.EqualFold, []string{
			"X-Forwarded-Uri", "X-Original-URI", "X-Original-URL", "X-Rewrite-URL", "X-Envoy-Original-Path", "X-Forwarded-Path", "X-Auth-Request-Redirect",
		}, []string{"X-Forwarded-Method", "X-Original-Method", "X-Envoy-Original-Method", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"})
	}},
	// The same, under names that are spelled in other ways, and the last of several: GHSA-5m6w-wvh7-57vm
	// (Traefik, X_Forwarded_Proto).
	"believes-folded": {view: func(r *wire.Request) {
		r.Fields = slices.Clone(r.Fields)
		slices.Reverse(r.Fields)
		believe(r, func(a, b string) bool { return folded(a) == folded(b) },
			[]string{"X-Forwarded-Uri", "X-Original-URI", "X-Original-URL"}, []string{"X-Forwarded-Method", "X-Original-Method"})
	}},
	// Asks about the path with X-Forwarded-Prefix taken off, or Forwarded's: GHSA-6384-m2mw-rf54 (Traefik,
	// X-Forwarded-Prefix).
	"believes-prefix": {view: func(r *wire.Request) {
		r.Target = "/" + strings.TrimPrefix(strings.TrimPrefix(r.Target, strings.TrimSuffix(r.First("X-Forwarded-Prefix"), "/")), "/")
	}},
	// Takes the method from _method: Symfony, Laravel and Rails with method override.
	"believes-parameter": {view: func(r *wire.Request) {
		if u, err := url.ParseRequestURI(r.Target); err == nil {
			r.Method = cmp.Or(strings.ToUpper(u.Query().Get("_method")), r.Method)
		}
	}},
	// Puts a URL together from Host and target, and asks about its path: ingress-nginx' X-Original-URL:
	// $scheme://$http_host$request_uri, parsed with a library.
	"host-in-url": {view: func(r *wire.Request) {
		if u, err := url.Parse("http://" + cmp.Or(r.First("Host"), r.First(":authority")) + r.Target); err == nil {
			r.Target = u.RequestURI()
		}
	}},
	// Asks about the path of an absolute target, and forwards it as it is: RFC 9112, section 3.2.2, which
	// servers have to accept.
	"absolute": {view: func(r *wire.Request) {
		if u, err := url.Parse(r.Target); err == nil && u.Scheme != "" {
			r.Target = u.RequestURI()
		}
	}},

	// They compare another path than they forward.

	// Decodes and cleans the path before it compares, and forwards it as it was sent: CVE-2021-29492 and
	// CVE-2021-32779 (Envoy), CVE-2021-39156 (Istio), CVE-2023-45539 (HAProxy).
	"cleans": {view: func(r *wire.Request) { r.Target = readings.Cleaned(r.Target) }},
	// Compares without regard to case: rules such as ~* of nginx in front of servers that have regard to it.
	"ignores-case": {permits: anyCase.permitTarget},
	// Lets keys for ingest go wherever it is not forbidden: location /api { deny all; } and what else
	// lists what may not be.
	"deny-list": {permits: func(grant *registry.Grant, method, target string) bool {
		ingest := grant.Scopes == scope.Of(v1alpha1.ScopeIngest)
		return exact.permitTarget(grant, method, target) || ingest && !strings.HasPrefix(target, "/api/")
	}},
	// Compares the beginning of what was sent: CVE-2019-9901 (Envoy), CVE-2020-5902 (BIG-IP, ..;/),
	// CVE-2021-41773 (Apache httpd).
	"prefix": {permits: programmatic("^", `([^0-9A-Za-z]|$)`).match},
	// Takes whatever is between two slashes for an id, dots too: patterns such as [^/]+ in nginx and
	// HAProxy, and {id} of routers.
	"any-segment": {permits: func(grant *registry.Grant, method, target string) bool {
		return exact.match(grant, method, cut(target, "?"))
	}},
	// Searches a pattern that has no beginning, in the whole target: regular expressions without ^, as in
	// oauth2-proxy's skip_auth_regex.
	"suffix": {permits: func(grant *registry.Grant, method, target string) bool {
		return anywhere.permit(grant, method, "/"+target) // "as if there was a slash": CVE-2026-33186 (grpc-go)
	}},
	// Knows methods in capitals only, and takes unknown ones for POST or GET: CVE-2021-33193 (Apache
	// httpd), Tomcat and Jetty with security-constraints that list methods.
	"methods": {permits: func(grant *registry.Grant, method, target string) bool {
		method = strings.ToUpper(strings.TrimSpace(method))
		known := slices.Contains([]string{"GET", "PUT", "POST", "PATCH", "DELETE"}, method)
		return exact.permitTarget(grant, method, target) || !known && permitsMost(grant, method, target)
	}},
	// Asks about the path only: nginx' auth_request, whose subrequest is always a GET.
	"no-methods": {permits: permitsMost},
	// Lets each good key go wherever any may: forward-auth servers that know who, but not what for.
	"no-scopes": {permits: func(_ *registry.Grant, method, target string) bool {
		return exact.permitTarget(&registry.Grant{Scopes: scope.Of(v1alpha1.AllScopes()...)}, method, target)
	}},

	// They find the key where it should not be, or one of several.

	// Takes the first of several keys: http.Header.Get, which knows of one value; CVE-2021-32777 (Envoy,
	// ext_authz was told one of several values).
	"first-key": {key: func(r *wire.Request) string { return strings.TrimSpace(cut(r.First("X-API-Key"), ",")) }},
	// Takes the last of several keys: CVE-2021-32777 (Envoy, ext_authz was told the last of several values).
	"last-key": {key: func(r *wire.Request) string {
		values := strings.Join(r.Values("X-API-Key"), ",")
		return strings.TrimSpace(values[strings.LastIndex(values, ",")+1:])
	}},
	// Takes a key from wherever one is, and forwards it: API gateways with key_in_query and key_in_body
	// (Kong's key-auth), basic authentication as a fallback.
	"key-anywhere": {key: func(r *wire.Request) string {
		return wellFormed.FindString(readings.Decode(fmt.Sprintf("%s %s %s %s", r.Target, r.Body, r.Fields, r.Trailers)))
	}},
	// Takes X_API_Key for X-API-Key, and whatever else is spelled like it: CGI and what descends from it
	// (WSGI, Rack, PHP); nginx with underscores_in_headers on.
	"folded-key": {key: func(r *wire.Request) string {
		values := r.Where(func(name string) bool { return folded(name) == "x-api-key" })
		return strings.TrimFunc(strings.Join(values[:min(1, len(values))], ""), func(c rune) bool { return c <= ' ' || c == '"' })
	}},
	// Cuts off what follows the key: C strings that end at NUL: CVE-2019-9900 (Envoy).
	"trimmed-key": {key: func(r *wire.Request) string { return wellFormed.FindString(strings.Join(r.Values("X-API-Key"), " ")) }},

	// They tell the upstream who it is in a way that clients can disturb.

	// Removes what Connection names after it has set its own headers: CVE-2022-31813 (Apache httpd),
	// CVE-2021-33197 (Go's ReverseProxy), CVE-2024-45410 (Traefik).
	"hop-by-hop": {head: func(client *wire.Request, identity []string) []string {
		options := strings.Split(strings.Join(client.Values("Connection"), ","), ",")
		return without(soundHead(client, identity), options)
	}},
	// Leaves an identity header alone that is there already: proxies that add a header if it is absent,
	// such as Envoy's ADD_IF_ABSENT; Loki and Mimir believe X-Scope-OrgID.
	"keeps-theirs": {head: func(client *wire.Request, identity []string) []string {
		return append(without(client.Head, []string{"X-API-Key"}), without(identity, client.Head)...)
	}},

	// They find another end of a request than the upstream does, or another request.

	// Believes Content-Length before Transfer-Encoding: CVE-2019-20445 (netty), CVE-2020-25613 (WEBrick).
	"length-first": {framing: wire.Framing{LengthFirst: true}},
	// Believes the last Content-Length: CVE-2019-20444 (netty), CVE-2021-40346 (HAProxy).
	"last-length": {framing: wire.Framing{LengthFirst: true, LastLength: true}},
	// Knows one spelling of Transfer-Encoding: chunked: CVE-2019-18277 (HAProxy), CVE-2022-1705 (Go),
	// CVE-2024-1135 (Gunicorn).
	"exact-encoding": {framing: wire.Framing{ExactChunked: true, Fold: true}},
	// Keeps the length of a name in a byte, so that a long one becomes two things: CVE-2021-40346 (HAProxy).
	"short-names": {head: func(client *wire.Request, identity []string) []string {
		head := without(client.Head, append(identity, "X-API-Key"))
		for i, line := range head {
			name := cut(line, ":")
			if kept := len(name) % 256; kept < len(name) {
				head[i] = name[:kept] + ": " + name[kept:kept+1]
			}
		}
		return append(head, identity...)
	}},
	// Asks about the first request of a connection only:
	// portswigger.net/research/browser-powered-desync-attacks, connection state attacks.
	"first-request": {skip: func(_ *wire.Request, c *wire.Conn) bool { return c.Upstream != nil }},
	// Asks about the first of several pseudo-headers, and forwards the last:
	// portswigger.net/research/http2, ambiguous pseudo-headers.
	"forwards-last": {rewrite: takeLast},
	// Asks about the last of several pseudo-headers, and forwards the first: the same the other way round.
	"asks-last": {view: takeLast},
	// Reads headers after a request line of HTTP/0.9: servers that default the version.
	"loose-version": {framing: wire.Framing{LooseVersion: true, Fold: true}},
	// Reads names with a space at the end as if it was not there: CVE-2019-16276 (Go), CVE-2019-16869 (netty).
	"loose-names": {framing: wire.Framing{LooseNames: true}},

	// They let something through without asking.

	// Does not ask about OPTIONS and TRACE, whoever says that it is one: CORS filters in front of the
	// authentication, which answer or pass preflights.
	"preflight": {skip: func(r *wire.Request, _ *wire.Conn) bool {
		method := cmp.Or(r.First("X-HTTP-Method-Override"), r.First("X-Original-Method"), r.First("X-Forwarded-Method"), r.Method)
		return method == http.MethodOptions || method == http.MethodTrace
	}},
	// Lets through what says that it comes from within: CVE-2025-29927 (Next.js, x-middleware-subrequest);
	// allow-lists on X-Forwarded-For.
	"trusts-addresses": {skip: func(r *wire.Request, _ *wire.Conn) bool {
		for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "X-Client-IP", "X-Forwarded-Host", "Host"} {
			if v := r.First(name); strings.Contains(v, "127.0.0.1") && v != r.First("Host") || strings.Contains(v, "localhost") {
				return true
			}
		}
		return r.First("X-Middleware-Subrequest") != "" || strings.Contains(r.First("User-Agent"), "kube-probe")
	}},
	// Lets through what the auth server could not be asked about: Envoy's failure_mode_allow, with a
	// request that is too long or has odd bytes.
	"fails-open": {skip: func(r *wire.Request, _ *wire.Conn) bool {
		text := fmt.Sprint(r.Target, r.Fields)
		return !utf8.ValidString(text) || strings.Contains(text, "\x00") || len(text) > 8<<10 || len(r.Fields) > 100 || len(r.Target) > 4<<10
	}},
	// Takes any 2xx for a yes, also one that is an answer to a gRPC client, to a probe, to a cache or to a
	// preflight: gRPC's Trailers-Only refusals are 200; nginx' auth_request and Traefik take every 2xx.
	"takes-200": {misread: func(r *wire.Request) bool {
		return strings.HasPrefix(r.First("Content-Type"), "application/grpc") || strings.HasPrefix(r.First("Accept"), "application/grpc") ||
			cmp.Or(r.First("Access-Control-Request-Method"), r.First("Expect"), r.First("Range"), r.First("If-None-Match"), r.First("Purpose")) != ""
	}},
	// Lets through files that are public, by what their names end with: skip_auth rules for /static and
	// health checks.
	"public": {skip: func(r *wire.Request, _ *wire.Conn) bool { return public.MatchString(readings.Decode(r.Target)) }},
	// Does not ask about CONNECT, and copies in both directions: forward proxies that are used as reverse proxies.
	"tunnels": {skip: func(r *wire.Request, _ *wire.Conn) bool { return r.Method == http.MethodConnect }},
}

var (
	// wellFormed is how the keys look that are minted here.
	wellFormed = regexp.MustCompile(`hxk_\w{49}`)
	anywhere   = programmatic("", `(\?|$)`)
	public     = regexp.MustCompile(`(\.css|\.js|\.png|/healthz|favicon\.ico)$`)
)

// believe takes target and method from the first of these headers that there is.
func believe(r *wire.Request, same func(a, b string) bool, targets, methods []string) {
	find := func(names []string, otherwise string) string {
		for _, name := range names {
			if values := r.Where(func(got string) bool { return same(got, name) }); len(values) > 0 {
				return values[0]
			}
		}
		return otherwise
	}
	target, _ := readings.OriginForm(find(targets, r.Target))
	r.Target = strings.TrimSpace(cut(target, ","))
	r.Method = strings.TrimSpace(cut(find(methods, r.Method), ","))
}

// permitsMost has no regard to the method.
func permitsMost(grant *registry.Grant, _, target string) bool {
	return exact.permitTarget(grant, http.MethodPost, target) || exact.permitTarget(grant, http.MethodGet, target)
}

// takeLast goes by the last of several pseudo-headers.
func takeLast(r *wire.Request) {
	for _, f := range r.Fields {
		switch f.Name {
		case ":method":
			r.Method = f.Value
		case ":path":
			r.Target = f.Value
		}
	}
}
