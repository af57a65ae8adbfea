// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"net/http"
	"strings"
)

// methodOverrides are headers by which frameworks let a client replace the method
// of its request: another than was judged.
var methodOverrides = [...]string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

// removedHeaders are, folded, what no client may tell the upstream: who it is, and
// what else the request should be taken for.
func removedHeaders(id identity) map[string]bool {
	removed := map[string]bool{}
	for _, name := range append(id.names(), methodOverrides[:]...) {
		removed[folded(name)] = true
	}
	for _, name := range []string{
		// The key goes no further than here, and with it no other credential: a
		// session beside it could be somebody else's.
		keyHeader, "Cookie", "Cookie2",
		// Who the client is, which the proxy knows better.
		"Forwarded", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip",
		// What some frameworks take for the path, in place of the real one.
		"X-Rewrite-Url", "X-Original-Url", "X-Original-Uri", "X-Original-Method", "X-Original-Host",
		// CGI turns it into the environment variable HTTP_PROXY.
		"Proxy",
	} {
		removed[folded(name)] = true
	}
	return removed
}

// forwardedPrefix covers the whole family of X-Forwarded-For, -Host, -Prefix, ….
const forwardedPrefix = "x-forwarded-"

// strip removes those headers, in any spelling.
func (p *proxy) strip(header http.Header) {
	for name := range header {
		if f := folded(name); p.removed[f] || strings.HasPrefix(f, forwardedPrefix) {
			delete(header, name)
		}
	}
}

func folded(name string) string {
	b := make([]byte, len(name))
	for i := range b {
		b[i] = fold(name[i])
	}
	return string(b)
}
