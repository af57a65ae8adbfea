// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// methodOverrides are headers by which frameworks let a client replace the method
// of its request: another than was judged.
var methodOverrides = [...]string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

// overridden reports whether a header, in any spelling, asks for another method than
// the one that is judged.
func overridden(header http.Header, method string) bool {
	for name, values := range header {
		for _, override := range methodOverrides {
			if sameFolded(name, override) && slices.ContainsFunc(values, func(v string) bool { return v != method }) {
				return true
			}
		}
	}
	return false
}

// methodParameter is the query parameter by which frameworks let a client replace the
// method of a POST: Symfony reads it from the query as well as from the form.
// https://symfony.com/doc/current/reference/configuration/framework.html#http-method-override
const methodParameter = "_method"

// overriddenInQuery reports whether the target has that parameter.
func overriddenInQuery(target string) bool {
	_, query, _ := strings.Cut(target, "?")
	for query != "" {
		var parameter string
		end := strings.IndexAny(query, "&;")
		if end < 0 {
			end = len(query)
		}
		parameter, query = query[:end], query[min(end+1, len(query)):]
		name, _, _ := strings.Cut(parameter, "=")
		if decoded, err := url.QueryUnescape(name); err == nil && strings.EqualFold(strings.TrimSpace(decoded), methodParameter) {
			return true
		}
	}
	return false
}

// framingHeaders say where a request ends and whom it is for. What is only spelled
// almost like one is no such header to this server, but is to an upstream that hands
// requests on as CGI variables: CONTENT_LENGTH is then what Content_Length says.
var framingHeaders = []string{"Content-Length", "Transfer-Encoding", "Connection", "Host"}

// headerSanitizer removes the headers by which a client could claim an identity to the
// upstream, or have the request read as another.
type headerSanitizer struct {
	// proxy is all of it, folded.
	proxy map[string]bool
	// gateway is what an answer has a gateway remove: not what the gateway itself
	// may have set, nor what the answer sets.
	gateway []string
	// gatewayFolded is the same, folded.
	gatewayFolded map[string]bool
}

func newHeaderSanitizer(id identity) *headerSanitizer {
	gateway := append([]string{
		// The key goes no further than here, and with it no other credential: a
		// session beside it could be somebody else's.
		keyHeader, "Cookie", "Cookie2",
		// What some frameworks take for the path, in place of the real one.
		"X-Rewrite-Url", "X-Original-Url", "X-Original-Uri", "X-Original-Method", "X-Original-Host",
		// CGI turns it into the environment variable HTTP_PROXY.
		"Proxy",
	}, methodOverrides[:]...)
	r := &headerSanitizer{proxy: map[string]bool{}, gatewayFolded: map[string]bool{}}
	for _, name := range gateway {
		r.gateway = append(r.gateway, strings.ToLower(name))
		r.gatewayFolded[folded(name)] = true
		r.proxy[folded(name)] = true
	}
	for _, name := range framingHeaders {
		r.proxy[folded(name)] = true // net/http writes its own
	}
	for _, name := range append(id.names(),
		// Who the client is, which the proxy knows better.
		"Forwarded", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip",
	) {
		r.proxy[folded(name)] = true
	}
	return r
}

// forwardedPrefix covers the whole family of X-Forwarded-For, -Host, -Prefix, ….
const forwardedPrefix = "x-forwarded-"

// strip removes those headers, in any spelling.
func (r *headerSanitizer) strip(header http.Header) {
	for name := range header {
		if foldedIn(r.proxy, name) || len(name) >= len(forwardedPrefix) && sameFolded(name[:len(forwardedPrefix)], forwardedPrefix) {
			delete(header, name)
		}
	}
}

// of returns, in lower case, the headers that a gateway is to remove from a request
// with this header: a fixed list, and whatever the request has that is spelled almost
// like one of it. The caller must not change it.
func (r *headerSanitizer) toRemove(header http.Header) []string {
	names := r.gateway
	for name := range header {
		if !foldedIn(r.gatewayFolded, name) {
			continue
		}
		if name = strings.ToLower(name); !slices.Contains(names, name) {
			names = append(slices.Clip(names), name)
		}
	}
	return names
}

// foldedIn reports whether name, folded, is in a set of folded names. It does not
// allocate.
func foldedIn(set map[string]bool, name string) bool {
	var b [64]byte // longer than any name of a set
	if len(name) > len(b) {
		return false
	}
	for i := range len(name) {
		b[i] = fold(name[i])
	}
	return set[string(b[:len(name)])]
}

func folded(name string) string {
	b := make([]byte, len(name))
	for i := range b {
		b[i] = fold(name[i])
	}
	return string(b)
}
