// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package readings

import (
	"fmt"
	"net/url"
	"path"
	"strings"
)

// Go is what a server written in Go goes by: the decoded path of net/url. It is false for
// what net/http refuses.
func Go(target string) (string, bool) {
	u, err := url.ParseRequestURI(target)
	if err != nil || u.Host != "" || !strings.HasPrefix(u.Path, "/") {
		return "", false
	}
	return u.Path, true
}

// Caddy is what Caddy compares with the pattern of a path matcher: Go's path in lower
// case, cleaned, with a trailing slash if it had one. (Patterns with % or // are compared
// in other ways.)
//
// Modelled after MatchPath and CleanPath in
// https://github.com/caddyserver/caddy/tree/master/modules/caddyhttp
func Caddy(target string) (string, bool) {
	p, ok := Go(target)
	if !ok {
		return "", false
	}
	p = strings.ToLower(p)
	cleaned := path.Clean(p)
	if cleaned != "/" && strings.HasSuffix(p, "/") {
		cleaned += "/"
	}
	return cleaned, true
}

// Nginx is what nginx makes of a target: its $uri, by which it finds a location. It is
// false for what nginx refuses. An escape is decoded once, and what was decoded is a
// slash or a dot like any other; slashes are merged, dot segments removed; "?" and "#"
// end a path only where they stand unescaped.
//
// Modelled after ngx_http_parse_complex_uri, with merge_slashes on, in
// https://github.com/nginx/nginx/blob/master/src/http/ngx_http_parse.c
func Nginx(target string) (path string, ok bool) {
	if !strings.HasPrefix(target, "/") || strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "", false
	}
	decoded, err := url.PathUnescape(before("?#")(target))
	if err != nil || strings.Contains(decoded, "\x00") {
		return "", false
	}
	if path, ok = dotSegments(mergeSlashes(decoded)); !ok {
		return "", false
	}
	return path, true
}

// Envoy has the options of Envoy's HttpConnectionManager that are about paths.
type Envoy struct {
	// Normalize is normalize_path, MergeSlashes is merge_slashes.
	Normalize, MergeSlashes bool
	// RejectEscapedSlashes is path_with_escaped_slashes_action: REJECT_REQUEST.
	RejectEscapedSlashes bool
}

// Target is what Envoy makes of a target in origin form, and forwards, with its query. It
// is false for what Envoy refuses.
//
// Modelled after ConnectionManagerUtility::maybeNormalizePath in
// https://github.com/envoyproxy/envoy/blob/main/source/common/http/conn_manager_utility.cc
func (e Envoy) Target(target string) (string, bool) {
	if strings.Contains(target, "#") {
		return "", false // envoy.reloadable_features.http_reject_path_with_fragment
	}
	path := before("?")(target)
	query := target[len(path):]
	if lower := strings.ToLower(path); e.RejectEscapedSlashes && (strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c")) {
		return "", false
	}
	if e.Normalize {
		if strings.Contains(path, "%00") {
			return "", false
		}
		path = canonical(path)
	}
	if e.MergeSlashes {
		path = mergeSlashes(path)
	}
	return path + query, true
}

// canonical is PathUtil::canonicalPath, source/common/http/path_utility.cc, which is
// url::CanonicalizePath of Chromium: unreserved characters are written as themselves,
// a backslash is a slash, dot segments are resolved, and all that a URL may not hold is
// escaped.
func canonical(path string) string {
	path = turnBackslashes(decodeUnreserved(path))
	path = dotsAhead.ReplaceAllString(path, "/..") // envoy.reloadable_features.strip_dotdot_segments_with_parameters
	path, _ = dotSegments(path)
	var b strings.Builder
	for _, c := range []byte(path) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"<>^`+"`{}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Traefik is what Traefik makes of a path that it forwards: what never needs an escape
// has none, and other escapes are in upper case.
//
// Modelled after normalizePath in https://github.com/traefik/traefik/tree/master/pkg/server
func Traefik(path string) string {
	return decodeUnreserved(escape.ReplaceAllStringFunc(path, strings.ToUpper))
}

// OriginForm splits a target in absolute form, as Envoy's codec of HTTP/1 does, into its
// origin form and the host. Any other is returned as it is, without a host.
//
// Modelled after ServerConnectionImpl::handlePath in
// https://github.com/envoyproxy/envoy/blob/main/source/common/http/http1/codec_impl.cc
func OriginForm(target string) (origin, host string) {
	if !strings.HasPrefix(target, "http://") && !strings.HasPrefix(target, "https://") {
		return target, ""
	}
	_, rest, _ := strings.Cut(target, "://")
	host = before("/?#")(rest)
	return "/" + strings.TrimPrefix(rest[len(host):], "/"), host
}
