// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"time"

	"github.com/hexcovery/apikey-operator/test/readings"
)

// StartTraefik serves a static and a dynamic configuration of Traefik until Stop.
func StartTraefik(ctx context.Context, static, dynamic []byte, options Options) (*Gateway, error) {
	point, chain, err := parseTraefik(static, dynamic)
	if err != nil {
		return nil, fmt.Errorf("start the replay of Traefik: %w", err)
	}
	backend := transport((*http.Protocols).SetUnencryptedHTTP2) // the service's URL is h2c://
	client := &http.Client{
		Timeout:       forwardAuthTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext},
	}
	var handler http.Handler = traefikProxy(options.Upstream, backend)
	for _, middleware := range slices.Backward(chain) {
		if middleware.Headers != nil {
			handler = traefikHeader(middleware.Headers, handler)
		} else {
			handler = &forwardAuth{config: middleware.ForwardAuth, address: options.AuthServer, client: client, next: handler}
		}
	}
	return serve(ctx, traefikEntry(point, handler), func() error {
		backend.CloseIdleConnections()
		client.CloseIdleConnections()
		return nil
	})
}

// forwardAuthTimeout is fixed in Traefik: NewForward, pkg/middlewares/auth/forward.go.
const forwardAuthTimeout = 30 * time.Second

// traefikEntry is what the entry point does before the router: newHTTPServer,
// pkg/server/server_entrypoint_tcp.go, and pkg/middlewares/forwardedheaders.
func traefikEntry(point *traefikEntryPoint, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		aliases := slices.ContainsFunc(lower(r.Header).names(), func(name string) bool {
			return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != ""
		})
		switch strategy := point.HTTP.AliasHeadersStrategy; {
		case r.URL.Opaque != "", strings.Contains(r.URL.RawPath, "#"), aliases && strategy == "reject":
			w.WriteHeader(http.StatusBadRequest)
			return
		case aliases && strategy == "delete":
			for name := range r.Header {
				if strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
					delete(r.Header, name)
				}
			}
		}
		r.URL.RawPath = readings.Traefik(r.URL.RawPath)
		if sanitize := point.HTTP.SanitizePath; sanitize == nil || *sanitize {
			r.URL = r.URL.JoinPath()
		}
		r.RequestURI = r.URL.RequestURI()
		if !point.ForwardedHeaders.Insecure {
			deleteForwarded(r.Header)
		}
		xForwarded(r)
		if deniedEscape(point.HTTP.EncodedCharacters, r.URL.EscapedPath()) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// deniedEscape is mapDeniedCharacters, pkg/middlewares/encodedcharacters: with the
// option, what it does not allow is refused.
func deniedEscape(allowed map[string]bool, path string) bool {
	if allowed == nil {
		return false
	}
	for option, escape := range map[string]string{
		"allowEncodedSlash": "%2F", "allowEncodedBackSlash": "%5C", "allowEncodedNullCharacter": "%00", "allowEncodedSemicolon": "%3B",
		"allowEncodedPercent": "%25", "allowEncodedQuestionMark": "%3F", "allowEncodedHash": "%23",
	} {
		if !allowed[option] && strings.Contains(strings.ToUpper(path), escape) {
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
	for name := range h {
		if slices.Contains(managed, http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))) {
			delete(h, name)
		}
	}
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

// traefikHeader is pkg/middlewares/headers/header.go.
func traefikHeader(config *traefikHeaders, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range config.CustomRequestHeaders {
			if value == "" {
				r.Header.Del(name)
			} else {
				r.Header.Set(name, value)
			}
		}
		next.ServeHTTP(&headerWriter{ResponseWriter: w, set: config.CustomResponseHeaders}, r)
	})
}

// headerWriter is PostRequestModifyResponseHeaders: after the upstream's own.
type headerWriter struct {
	http.ResponseWriter

	set  map[string]string
	done bool
}

// Unwrap lets a http.ResponseController find what it can do.
func (h *headerWriter) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (h *headerWriter) WriteHeader(status int) {
	if !h.done && status >= http.StatusOK {
		h.done = true
		for name, value := range h.set {
			if value == "" {
				h.Header().Del(name)
			} else {
				h.Header().Set(name, value)
			}
		}
	}
	h.ResponseWriter.WriteHeader(status)
}

// traefikProxy is rewriteRequestBuilder, pkg/proxy/httputil/proxy.go, which uses the
// same ReverseProxy.
func traefikProxy(address string, backend http.RoundTripper) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: backend, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			for _, name := range managed {
				if values, ok := r.In.Header[name]; ok {
					r.Out.Header[name] = values
				}
			}
			if client, _, err := net.SplitHostPort(r.In.RemoteAddr); err == nil {
				r.Out.Header.Set("X-Forwarded-For", strings.Join(append(slices.Clone(r.Out.Header["X-Forwarded-For"]), client), ", "))
			}
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", address, r.In.Host
			r.Out.URL.RawQuery = strings.ReplaceAll(r.In.URL.RawQuery, ";", "&")
			for name := range r.Out.Trailer {
				r.Out.Trailer[name] = nil
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
}
