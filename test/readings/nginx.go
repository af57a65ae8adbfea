// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package readings

import "strings"

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
	if end := strings.IndexAny(target, "?#"); end >= 0 {
		target = target[:end]
	}
	decoded, ok := decode(target)
	if !ok || strings.Contains(decoded, "\x00") {
		return "", false
	}
	return resolve(decoded)
}

// decode decodes each escape once. It is false if one is broken.
func decode(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		high, low := strings.IndexByte(digits, s[i+1]|0x20), strings.IndexByte(digits, s[i+2]|0x20)
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), true
}

// A digit with bit 0x20 set is the digit itself.
const digits = "0123456789abcdef"

// resolve merges slashes and removes dot segments. It is false for a path that leads
// above the root.
func resolve(p string) (string, bool) {
	segments := strings.Split(p[1:], "/")
	var kept []string
	trailing := false
	for _, segment := range segments {
		trailing = segment == "" || segment == "." || segment == ".."
		switch segment {
		case "", ".":
		case "..":
			if len(kept) == 0 {
				return "", false
			}
			kept = kept[:len(kept)-1]
		default:
			kept = append(kept, segment)
		}
	}
	if len(kept) == 0 {
		return "/", true
	}
	path := "/" + strings.Join(kept, "/")
	if trailing {
		path += "/"
	}
	return path, true
}
