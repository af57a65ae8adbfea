// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

var (
	escapedSlash = regexp.MustCompile(`(?i)%2f|%5c`)
	manySlashes  = regexp.MustCompile(`/{2,}`)
	escaped      = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
)

// target is the request's target in origin form. The codec of HTTP/1 takes the host
// out of an absolute one (ServerConnectionImpl::handlePath,
// source/common/http/http1/codec_impl.cc).
func target(raw string) (path, host string) {
	if !strings.HasPrefix(raw, "http://") && !strings.HasPrefix(raw, "https://") {
		return raw, ""
	}
	_, rest, _ := strings.Cut(raw, "://")
	at := strings.IndexAny(rest, "/?#")
	if at < 0 {
		return "/", rest
	}
	if path = rest[at:]; path[0] != '/' {
		path = "/" + path
	}
	return path, rest[:at]
}

// normalize is ConnectionManagerUtility::maybeNormalizePath,
// source/common/http/conn_manager_utility.cc: it reports whether the path may go on.
func normalize(manager *hcmv3.HttpConnectionManager, target string) (string, bool) {
	if strings.Contains(target, "#") {
		return "", false // envoy.reloadable_features.http_reject_path_with_fragment
	}
	path, query, hasQuery := strings.Cut(target, "?")
	if manager.GetPathWithEscapedSlashesAction() == hcmv3.HttpConnectionManager_REJECT_REQUEST && escapedSlash.MatchString(path) {
		return "", false
	}
	if manager.GetNormalizePath().GetValue() {
		var ok bool
		if path, ok = canonical(path); !ok {
			return "", false
		}
	}
	if manager.GetMergeSlashes() {
		path = manySlashes.ReplaceAllString(path, "/")
	}
	if hasQuery {
		path += "?" + query
	}
	return path, true
}

// canonical is PathUtil::canonicalPath, source/common/http/path_utility.cc, which is
// url::CanonicalizePath of Chromium: unreserved characters are written as themselves,
// a backslash is a slash, dot segments are resolved, and all that a URL may not hold is
// escaped.
func canonical(path string) (string, bool) {
	if strings.Contains(path, "%00") {
		return "", false
	}
	path = escaped.ReplaceAllStringFunc(path, func(s string) string {
		c, err := url.PathUnescape(s)
		if err == nil && strings.ContainsAny(c, unreserved) {
			return c
		}
		return s
	})
	var kept []string
	segments := strings.Split(strings.ReplaceAll(path, `\`, "/"), "/")[1:]
	for i, segment := range segments {
		last := i == len(segments)-1
		// envoy.reloadable_features.strip_dotdot_segments_with_parameters
		if strings.HasPrefix(segment, "..;") {
			segment = ".."
		}
		switch segment {
		case ".", "..":
			if segment == ".." && len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
			if last {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, segment)
		}
	}
	return "/" + escape(strings.Join(kept, "/")), true
}

const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

func escape(path string) string {
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

// normalizeHost is strip_trailing_host_dot and strip_matching_host_port:
// ConnectionManagerUtility::maybeNormalizeHost.
func normalizeHost(manager *hcmv3.HttpConnectionManager, host string, port int) string {
	if manager.GetStripTrailingHostDot() {
		name, rest, hasPort := strings.Cut(host, ":")
		host = strings.TrimSuffix(name, ".")
		if hasPort {
			host += ":" + rest
		}
	}
	if manager.GetStripMatchingHostPort() {
		host = strings.TrimSuffix(host, ":"+strconv.Itoa(port))
	}
	return host
}
