// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/scope"
	"github.com/hexcovery/apikey-operator/test/gateways/attack/wire"
)

// Naives are the naive gateways, each with what is weak in it.
func Naives() []Naive {
	naives := slices.Concat(naiveHeaders(), naivePaths(), naiveKeys(), naiveIdentities(), naiveFramings(), naiveExceptions())
	return naives
}

// naiveHeaders believe what clients write into headers.
func naiveHeaders() []Naive {
	return []Naive{
		{
			Name: "verbatim", Weakness: "forwards all but its own headers, and HTTP/2 as HTTP/1.1 word for word",
			Like: "CVE-2018-14773 (Symfony reads X-Original-URL), CVE-2016-5385, CVE-2021-21295 (netty), portswigger.net/research/http2",
		},
		{
			Name: "believes-headers", Weakness: "asks about the path and method in the first header that seems to hold them",
			Like: "CVE-2026-40575 (oauth2-proxy, X-Forwarded-Uri)",
			view: believing([]string{
				"X-Forwarded-Uri", "X-Original-URI", "X-Original-URL", "X-Rewrite-URL", "X-Envoy-Original-Path", "X-Forwarded-Path", "X-Auth-Request-Redirect",
			}, []string{"X-Forwarded-Method", "X-Original-Method", "X-Envoy-Original-Method", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"}, false),
		},
		{
			Name: "believes-folded", Weakness: "the same, under names that are spelled in other ways, and the last of several",
			Like: "GHSA-5m6w-wvh7-57vm (Traefik, X_Forwarded_Proto)",
			view: believing([]string{"X-Forwarded-Uri", "X-Original-URI", "X-Original-URL"}, []string{"X-Forwarded-Method", "X-Original-Method"}, true),
		},
		{
			Name: "believes-prefix", Weakness: "asks about the path with X-Forwarded-Prefix taken off, or Forwarded's",
			Like: "GHSA-6384-m2mw-rf54 (Traefik, X-Forwarded-Prefix)",
			view: func(r *wire.Request) (string, string) {
				return r.Method, "/" + strings.TrimPrefix(strings.TrimPrefix(r.Target, strings.TrimSuffix(r.First("X-Forwarded-Prefix"), "/")), "/")
			},
		},
		{
			Name: "believes-parameter", Weakness: "takes the method from _method",
			Like: "Symfony, Laravel and Rails with method override",
			view: func(r *wire.Request) (string, string) {
				u, err := url.ParseRequestURI(r.Target)
				if err != nil || u.Query().Get("_method") == "" {
					return r.Method, r.Target
				}
				return strings.ToUpper(u.Query().Get("_method")), r.Target
			},
		},
		{
			Name: "host-in-url", Weakness: "puts a URL together from Host and target, and asks about its path",
			Like: "ingress-nginx' X-Original-URL: $scheme://$http_host$request_uri, parsed with a library",
			view: func(r *wire.Request) (string, string) {
				host := r.First("Host")
				if host == "" {
					host = r.First(":authority")
				}
				u, err := url.Parse("http://" + host + r.Target)
				if err != nil {
					return r.Method, r.Target
				}
				return r.Method, u.RequestURI()
			},
		},
		{
			Name: "absolute", Weakness: "asks about the path of an absolute target, and forwards it as it is",
			Like: "RFC 9112, section 3.2.2, which servers have to accept",
			view: func(r *wire.Request) (string, string) {
				u, err := url.Parse(r.Target)
				if err != nil || u.Scheme == "" {
					return r.Method, r.Target
				}
				return r.Method, u.RequestURI()
			},
		},
	}
}

func believing(targets, methods []string, loose bool) func(*wire.Request) (string, string) {
	find := func(r *wire.Request, names []string, otherwise string) string {
		for _, name := range names {
			var values []string
			for _, f := range r.Fields {
				if strings.EqualFold(f.Name, name) || loose && folded(f.Name) == folded(name) {
					values = append(values, f.Value)
				}
			}
			switch {
			case len(values) > 0 && loose:
				return values[len(values)-1]
			case len(values) > 0:
				return values[0]
			}
		}
		return otherwise
	}
	return func(r *wire.Request) (string, string) {
		target := find(r, targets, r.Target)
		if _, rest, ok := strings.Cut(target, "://"); ok {
			_, rest, _ = strings.Cut(rest, "/")
			target = "/" + rest
		}
		target = strings.TrimSpace(cut(target, ","))
		return strings.TrimSpace(cut(find(r, methods, r.Method), ",")), target
	}
}

// iis are escapes that Microsoft's servers know.
var iis = regexp.MustCompile(`%u00[0-9a-fA-F]{2}`)

// clean is what many do before they compare.
func clean(target string) string {
	p := cut(target, "?")
	for range 2 {
		p = percentDecode(p)
	}
	p = iis.ReplaceAllStringFunc(p, func(s string) string { return percentDecode("%" + s[4:]) })
	p = strings.NewReplacer("\xc0\xae", ".", "\xc0\xaf", "/", `\`, "/", "\uff0f", "/", "\uff0e", ".").Replace(p)
	p = cut(cut(cut(p, "\x00"), "#"), "?")
	p = parameters.ReplaceAllString(p, "")
	p = strings.Join(strings.FieldsFunc(p, func(r rune) bool { return r < ' ' }), "")
	return path.Clean("/" + strings.TrimRight(p, "./ \u00a0"))
}

func viewing(f func(target string) string) func(*wire.Request) (string, string) {
	return func(r *wire.Request) (string, string) { return r.Method, f(r.Target) }
}

// naivePaths compare another path than they forward.
func naivePaths() []Naive {
	return []Naive{
		{
			Name: "cleans", Weakness: "decodes and cleans the path before it compares, and forwards it as it was sent",
			Like: "CVE-2021-29492 and CVE-2021-32779 (Envoy), CVE-2021-39156 (Istio), CVE-2023-45539 (HAProxy)",
			view: viewing(clean),
		},
		{
			Name: "ignores-case", Weakness: "compares without regard to case",
			Like: "rules such as ~* of nginx in front of servers that have regard to it",
			permits: func(grant *registry.Grant, method, target string) bool {
				return mayReachFolded(grant, method, cut(target, "?"))
			},
		},
		{
			Name: "deny-list", Weakness: "lets keys for ingest go wherever it is not forbidden",
			Like: "location /api { deny all; } and what else lists what may not be",
			permits: func(grant *registry.Grant, method, target string) bool {
				ingest := grant.Scopes == scope.Of(v1alpha1.ScopeIngest)
				return soundPermits(grant, method, target) || ingest && !strings.HasPrefix(target, "/api/")
			},
		},
		{
			Name: "prefix", Weakness: "compares the beginning of what was sent",
			Like: "CVE-2019-9901 (Envoy), CVE-2020-5902 (BIG-IP, ..;/), CVE-2021-41773 (Apache httpd)",
			permits: func(grant *registry.Grant, method, target string) bool {
				for i := range target {
					if (i == len(target)-1 || !isWord(target[i+1])) && mayReach(grant, method, target[:i+1]) {
						return true
					}
				}
				return false
			},
		},
		{
			Name: "any-segment", Weakness: "takes whatever is between two slashes for an id, dots too",
			Like: "patterns such as [^/]+ in nginx and HAProxy, and {id} of routers",
			permits: func(grant *registry.Grant, method, target string) bool {
				return slices.ContainsFunc(reachable, func(r rule) bool {
					return r.permits(grant, method) && r.path.MatchString(cut(target, "?"))
				})
			},
		},
		{
			Name: "suffix", Weakness: "searches a pattern that has no beginning, in the whole target",
			Like: "regular expressions without ^, as in oauth2-proxy's skip_auth_regex",
			permits: func(grant *registry.Grant, method, target string) bool {
				for i := range target {
					if target[i] == '/' && mayReach(grant, method, target[i:]) {
						return true
					}
				}
				return soundPermits(grant, method, target) || mayReach(grant, method, "/"+target) // "as if there was a slash": CVE-2026-33186 (grpc-go)
			},
		},
		{
			Name: "methods", Weakness: "knows methods in capitals only, and takes unknown ones for POST or GET",
			Like: "CVE-2021-33193 (Apache httpd), Tomcat and Jetty with security-constraints that list methods",
			permits: func(grant *registry.Grant, method, target string) bool {
				method = strings.ToUpper(strings.TrimSpace(method))
				if !slices.Contains([]string{"GET", "PUT", "POST", "PATCH", "DELETE"}, method) {
					return soundPermits(grant, "POST", target) || soundPermits(grant, "GET", target)
				}
				return soundPermits(grant, method, target)
			},
		},
		{
			Name: "no-methods", Weakness: "asks about the path only",
			Like: "nginx' auth_request, whose subrequest is always a GET",
			permits: func(grant *registry.Grant, _, target string) bool {
				return soundPermits(grant, "POST", target) || soundPermits(grant, "GET", target)
			},
		},
		{
			Name: "no-scopes", Weakness: "lets each good key go wherever any may",
			Like: "forward-auth servers that know who, but not what for",
			permits: func(grant *registry.Grant, method, target string) bool {
				other := *grant
				other.Scopes = scope.Of(v1alpha1.AllScopes()...)
				return soundPermits(&other, method, target)
			},
		},
	}
}

func isWord(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// naiveExceptions let something through without asking.
func naiveExceptions() []Naive {
	return []Naive{
		{
			Name: "preflight", Weakness: "does not ask about OPTIONS and TRACE, whoever says that it is one",
			Like: "CORS filters in front of the authentication, which answer or pass preflights",
			skip: func(r *wire.Request) bool {
				method := r.Method
				for _, name := range []string{"X-Forwarded-Method", "X-Original-Method", "X-HTTP-Method-Override"} {
					if v := r.First(name); v != "" {
						method = v
					}
				}
				return slices.Contains([]string{"OPTIONS", "TRACE"}, method)
			},
		},
		{
			Name: "trusts-addresses", Weakness: "lets through what says that it comes from within",
			Like: "CVE-2025-29927 (Next.js, x-middleware-subrequest); allow-lists on X-Forwarded-For",
			skip: func(r *wire.Request) bool {
				for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "X-Client-IP", "X-Forwarded-Host", "Host"} {
					if v := r.First(name); strings.Contains(v, "127.0.0.1") && v != r.First("Host") || strings.Contains(v, "localhost") {
						return true
					}
				}
				return r.First("X-Middleware-Subrequest") != "" || strings.Contains(r.First("User-Agent"), "kube-probe")
			},
		},
		{
			Name: "fails-open", Weakness: "lets through what the auth server could not be asked about",
			Like: "Envoy's failure_mode_allow, with a request that is too long or has odd bytes",
			skip: func(r *wire.Request) bool {
				size := len(r.Target)
				for _, f := range r.Fields {
					size += len(f.Name) + len(f.Value)
					if !utf8.ValidString(f.Value) || !utf8.ValidString(f.Name) || strings.Contains(f.Value, "\x00") {
						return true
					}
				}
				return size > 8<<10 || len(r.Fields) > 100 || len(r.Target) > 4<<10 || !utf8.ValidString(r.Target)
			},
		},
		{
			Name: "takes-200", Weakness: "takes any 2xx for a yes, also one that is an answer to a gRPC client, to a probe, to a cache or to a preflight",
			Like: "gRPC's Trailers-Only refusals are 200; nginx' auth_request and Traefik take every 2xx",
			misread: func(r *wire.Request) bool {
				return strings.HasPrefix(r.First("Content-Type"), "application/grpc") ||
					strings.HasPrefix(r.First("Accept"), "application/grpc") ||
					r.First("Access-Control-Request-Method") != "" || r.First("Expect") != "" || r.First("Range") != "" ||
					r.First("If-None-Match") != "" || r.First("Purpose") != ""
			},
		},
		{
			Name: "public", Weakness: "lets through files that are public, by what their names end with",
			Like: "skip_auth rules for /static and health checks",
			skip: func(r *wire.Request) bool {
				p := percentDecode(r.Target)
				for _, suffix := range []string{".css", ".js", ".png", "/healthz", "favicon.ico"} {
					if strings.HasSuffix(p, suffix) {
						return true
					}
				}
				return false
			},
		},
		{
			Name: "tunnels", Weakness: "does not ask about CONNECT, and copies in both directions",
			Like: "forward proxies that are used as reverse proxies",
			skip: func(r *wire.Request) bool { return r.Method == http.MethodConnect },
		},
	}
}
