// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"io"
	"io/fs"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"time"

	"github.com/felixge/httpsnoop"

	"github.com/hexcovery/apikey-operator/test/readings"
)

// newTraefik serves a static and a dynamic configuration of Traefik.
func newTraefik(files fs.FS, options Options) (http.Handler, error) {
	point, chain, err := readTraefik(files)
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Timeout:       forwardAuthTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext},
	}
	handler := traefikProxy(options.Upstream)
	for _, middleware := range slices.Backward(chain) {
		if middleware.Headers != nil {
			handler = middleware.Headers.change(handler)
		} else {
			handler = &forwardAuth{middleware.ForwardAuth, options.AuthServer, client, handler}
		}
	}
	return point.enter(handler), nil
}

// forwardAuthTimeout is fixed in Traefik: NewForward, pkg/middlewares/auth/forward.go.
const forwardAuthTimeout = 30 * time.Second

// enter is what the entry point does before the router: newHTTPServer,
// pkg/server/server_entrypoint_tcp.go, and pkg/middlewares/forwardedheaders.
func (p *traefikEntryPoint) enter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all, strategy := len(r.Header), p.HTTP.AliasHeadersStrategy
		if strategy == "reject" || strategy == "delete" {
			maps.DeleteFunc(r.Header, func(name string, _ []string) bool {
				return strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-") != ""
			})
		}
		if strategy == "reject" && len(r.Header) < all || r.URL.Opaque != "" || strings.Contains(r.URL.RawPath, "#") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.URL.RawPath = readings.Traefik(r.URL.RawPath)
		if sanitize := p.HTTP.SanitizePath; sanitize == nil || *sanitize {
			r.URL = r.URL.JoinPath()
		}
		r.RequestURI = r.URL.RequestURI()
		if !p.ForwardedHeaders.Insecure {
			deleteForwarded(r.Header)
		}
		xForwarded(r)
		if deniedEscape(p.HTTP.EncodedCharacters, r.URL.EscapedPath()) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// deniedEscape is mapDeniedCharacters, pkg/middlewares/encodedcharacters: with the
// option, what it does not allow is refused.
func deniedEscape(allowed map[string]bool, path string) bool {
	for option, escape := range map[string]string{
		"allowEncodedSlash": "%2F", "allowEncodedBackSlash": "%5C", "allowEncodedNullCharacter": "%00", "allowEncodedSemicolon": "%3B",
		"allowEncodedPercent": "%25", "allowEncodedQuestionMark": "%3F", "allowEncodedHash": "%23",
	} {
		if allowed != nil && !allowed[option] && strings.Contains(strings.ToUpper(path), escape) {
			return true
		}
	}
	return false
}

// managed are the headers of XHeadersSet, pkg/middlewares/forwardedheaders.
var managed = []string{
	"X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Uri",
	"X-Forwarded-Method", "X-Forwarded-Prefix", "X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info", "X-Real-Ip",
}

// deleteForwarded is DeleteXForwardedHeaders.
func deleteForwarded(h http.Header) {
	maps.DeleteFunc(h, func(name string, _ []string) bool {
		return slices.Contains(managed, http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")))
	})
}

// xForwarded is XForwarded.rewrite and removeConnectionHeaders: Connection takes headers
// away here, before anything of Traefik's own is set, and none of the managed.
func xForwarded(r *http.Request) {
	if client, _, err := net.SplitHostPort(r.RemoteAddr); err == nil && r.Header.Get("X-Real-Ip") == "" {
		r.Header.Set("X-Real-Ip", client)
	}
	for name, value := range map[string]string{"X-Forwarded-Proto": "http", "X-Forwarded-Port": "80", "X-Forwarded-Host": r.Host} {
		if r.Header.Get(name) == "" {
			r.Header.Set(name, value)
		}
	}
	r.Header.Set("X-Forwarded-Server", "traefik")
	upgrade := ""
	for _, value := range r.Header["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			switch {
			case name == "Upgrade":
				upgrade = r.Header.Get("Upgrade")
			case !slices.Contains(managed, name):
				delete(r.Header, name)
			}
		}
	}
	r.Header.Del("Connection")
	if upgrade != "" {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", upgrade)
	}
}

// change is pkg/middlewares/headers/header.go. PostRequestModifyResponseHeaders comes after
// the upstream's own.
func (c *traefikHeaders) change(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		set(r.Header, c.CustomRequestHeaders)
		next.ServeHTTP(httpsnoop.Wrap(w, httpsnoop.Hooks{WriteHeader: func(write httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
			return func(status int) {
				set(w.Header(), c.CustomResponseHeaders)
				write(status)
			}
		}}), r)
	})
}

// set sets headers, or removes those without a value.
func set(h http.Header, values map[string]string) {
	for name, value := range values {
		if h.Set(name, value); value == "" {
			h.Del(name)
		}
	}
}

// traefikProxy is rewriteRequestBuilder, pkg/proxy/httputil/proxy.go, which uses the
// same ReverseProxy.
func traefikProxy(upstream string) http.Handler {
	return &httputil.ReverseProxy{
		Transport:     transport((*http.Protocols).SetUnencryptedHTTP2), // the service's URL is h2c://
		FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			for _, name := range managed {
				if values, ok := r.In.Header[name]; ok {
					r.Out.Header[name] = values
				}
			}
			addForwardedFor(r.Out.Header, r.In)
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", upstream, r.In.Host
			r.Out.URL.RawQuery = strings.ReplaceAll(r.In.URL.RawQuery, ";", "&")
			for name := range r.Out.Trailer {
				r.Out.Trailer[name] = nil
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
}
