// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package readings

import (
	"net/url"
	"regexp"
	"strings"
)

var (
	escape     = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	iisEscape  = regexp.MustCompile(`%u00[0-9A-Fa-f]{2}`)
	slashes    = regexp.MustCompile(`/+`)
	parameters = regexp.MustCompile(`;[^/]*`)
	dotsAhead  = regexp.MustCompile(`/\.\.;[^/]*`)
	controls   = regexp.MustCompile(`[\x00-\x1f]`)
	// overlong has what decoders that do not check took for ASCII, and full-width forms,
	// which some normalize.
	overlong = strings.NewReplacer("\xc0\xae", ".", "\xc0\xaf", "/", "\xc1\x9c", `\`, "\uff0e", ".", "\uff0f", "/")
)

// Decode decodes each escape once, and leaves what is none. Go and nginx refuse a path
// with such a thing, as url.PathUnescape does.
func Decode(path string) string {
	return escape.ReplaceAllStringFunc(path, func(s string) string {
		decoded, _ := url.PathUnescape(s) // which can be
		return decoded
	})
}

// decodeUnreserved decodes only what never needs an escape (RFC 3986, section 2.3).
func decodeUnreserved(path string) string {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	return escape.ReplaceAllStringFunc(path, func(s string) string {
		if c := Decode(s); strings.Contains(unreserved, c) {
			return c
		}
		return s
	})
}

func mergeSlashes(path string) string { return slashes.ReplaceAllString(path, "/") }

func turnBackslashes(path string) string { return strings.ReplaceAll(path, `\`, "/") }

func dropParameters(path string) string { return parameters.ReplaceAllString(path, "") }

// before returns a step that cuts a path off at the first of these characters.
func before(ends string) func(string) string {
	return func(path string) string {
		if end := strings.IndexAny(path, ends); end >= 0 {
			return path[:end]
		}
		return path
	}
}

// dotSegments is remove_dot_segments (RFC 3986, section 5.2.4). What leads above the
// root ends there, but is not within it: nginx refuses that.
func dotSegments(path string) (resolved string, within bool) {
	if strings.HasSuffix(path, "/.") || strings.HasSuffix(path, "/..") {
		path += "/"
	}
	var kept []string
	within = true
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		switch segment {
		case ".":
		case "..":
			within = within && len(kept) > 0
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
		}
	}
	return "/" + strings.Join(kept, "/"), within
}
