// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package readings

import (
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
