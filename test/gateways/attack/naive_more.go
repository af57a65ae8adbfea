// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"net/url"
	"slices"
	"strings"

	"github.com/hexcovery/apikey-operator/test/gateways/attack/wire"
)

// naiveKeys find the key where it should not be, or one of several.
func naiveKeys() []Naive {
	return []Naive{
		{
			Name: "first-key", Weakness: "takes the first of several keys",
			Like: "http.Header.Get, which knows of one value; CVE-2021-32777 (Envoy, ext_authz was told one of several values)",
			key:  func(r *wire.Request) string { return strings.TrimSpace(cut(r.First("X-API-Key"), ",")) },
		},
		{
			Name: "last-key", Weakness: "takes the last of several keys",
			Like: "CVE-2021-32777 (Envoy, ext_authz was told the last of several values)",
			key: func(r *wire.Request) string {
				values := strings.Split(strings.Join(r.Values("X-API-Key"), ","), ",")
				return strings.TrimSpace(values[len(values)-1])
			},
		},
		{
			Name: "key-anywhere", Weakness: "takes a key from wherever one is, and forwards it",
			Like: "API gateways with key_in_query and key_in_body (Kong's key-auth), basic authentication as a fallback",
			key: func(r *wire.Request) string {
				var all []string
				for _, f := range slices.Concat(r.Fields, r.Trailers) {
					all = append(all, f.Name, f.Value)
				}
				all = append([]string{r.Target, string(r.Body)}, all...)
				for _, text := range all {
					if decoded, err := url.QueryUnescape(text); err == nil {
						text = decoded
					}
					if i := strings.Index(text, "hxk_"); i >= 0 && len(text) >= i+53 {
						return text[i : i+53]
					}
				}
				return ""
			},
		},
		{
			Name: "folded-key", Weakness: "takes X_API_Key for X-API-Key, and whatever else is spelled like it",
			Like: "CGI and what descends from it (WSGI, Rack, PHP); nginx with underscores_in_headers on",
			key: func(r *wire.Request) string {
				for _, f := range r.Fields {
					if folded(f.Name) == "x-api-key" {
						return strings.TrimFunc(f.Value, func(c rune) bool { return c <= ' ' || c == '"' })
					}
				}
				return ""
			},
		},
		{
			Name: "trimmed-key", Weakness: "cuts off what follows the key",
			Like: "C strings that end at NUL: CVE-2019-9900 (Envoy)",
			key: func(r *wire.Request) string {
				for _, value := range r.Values("X-API-Key") {
					if i := strings.Index(value, "hxk_"); i >= 0 && len(value) >= i+53 {
						return value[i : i+53]
					}
				}
				return ""
			},
		},
	}
}

// naiveIdentities tell the upstream who it is in a way that clients can disturb.
func naiveIdentities() []Naive {
	const keep = "connection:"
	return []Naive{
		{
			Name: "hop-by-hop", Weakness: "removes what Connection names after it has set its own headers",
			Like: "CVE-2022-31813 (Apache httpd), CVE-2021-33197 (Go's ReverseProxy), CVE-2024-45410 (Traefik)",
			head: func(client, identity []string) []string {
				all := append(slices.Clone(client), identity...)
				named := map[string]bool{}
				for _, line := range client {
					if strings.HasPrefix(strings.ToLower(line), keep) {
						for name := range strings.SplitSeq(line[len(keep):], ",") {
							named[strings.ToLower(strings.TrimSpace(name))] = true
						}
					}
				}
				return slices.DeleteFunc(all, func(line string) bool { return named[strings.ToLower(strings.TrimSpace(cut(line, ":")))] })
			},
		},
		{
			Name: "keeps-theirs", Weakness: "leaves an identity header alone that is there already",
			Like:       "proxies that add a header if it is absent, such as Envoy's ADD_IF_ABSENT; Loki and Mimir believe X-Scope-OrgID",
			keepTheirs: true,
		},
	}
}

// naiveFramings find another end of a request than the upstream does.
func naiveFramings() []Naive {
	exactly := func(values []string) bool { return len(values) == 1 && values[0] == "chunked" }
	return []Naive{
		{
			Name: "length-first", Weakness: "believes Content-Length before Transfer-Encoding",
			Like: "CVE-2019-20445 (netty), CVE-2020-25613 (WEBrick)", framing: wire.Framing{LengthFirst: true},
		},
		{
			Name: "last-length", Weakness: "believes the last Content-Length",
			Like: "CVE-2019-20444 (netty), CVE-2021-40346 (HAProxy)", framing: wire.Framing{LengthFirst: true, LastLength: true},
		},
		{
			Name: "exact-encoding", Weakness: "knows one spelling of Transfer-Encoding: chunked",
			Like: "CVE-2019-18277 (HAProxy), CVE-2022-1705 (Go), CVE-2024-1135 (Gunicorn)", framing: wire.Framing{Chunked: exactly, Fold: true},
		},
		{
			Name: "short-names", Weakness: "keeps the length of a name in a byte, so that a long one becomes two things",
			Like: "CVE-2021-40346 (HAProxy)",
			head: func(client, identity []string) []string {
				var head []string
				for _, line := range client {
					name, _, _ := strings.Cut(line, ":")
					if kept := len(name) % 256; kept < len(name) {
						line = name[:kept] + ": " + name[kept:kept+1]
					}
					head = append(head, line)
				}
				return append(head, identity...)
			},
		},
		{
			Name: "first-request", Weakness: "asks about the first request of a connection only",
			Like:     "portswigger.net/research/browser-powered-desync-attacks, connection state attacks",
			skipConn: func(_ *wire.Request, c *wire.Conn) bool { return c.Upstream != nil },
		},
		{
			Name: "forwards-last", Weakness: "asks about the first of several pseudo-headers, and forwards the last",
			Like: "portswigger.net/research/http2, ambiguous pseudo-headers",
			view: func(r *wire.Request) (string, string) {
				method, target := r.Method, r.Target
				for _, f := range r.Fields {
					switch f.Name {
					case ":method":
						r.Method = f.Value
					case ":path":
						r.Target = f.Value
					}
				}
				return method, target
			},
		},
		{
			Name: "asks-last", Weakness: "asks about the last of several pseudo-headers, and forwards the first",
			Like: "the same the other way round",
			view: func(r *wire.Request) (string, string) {
				method, target := r.Method, r.Target
				for _, f := range r.Fields {
					switch f.Name {
					case ":method":
						method = f.Value
					case ":path":
						target = f.Value
					}
				}
				return method, target
			},
		},
		{
			Name: "loose-version", Weakness: "reads headers after a request line of HTTP/0.9",
			Like: "servers that default the version", framing: wire.Framing{LooseVersion: true, Fold: true},
		},
		{
			Name: "loose-names", Weakness: "reads names with a space at the end as if it was not there",
			Like: "CVE-2019-16276 (Go), CVE-2019-16869 (netty)", framing: wire.Framing{LooseNames: true},
		},
	}
}
