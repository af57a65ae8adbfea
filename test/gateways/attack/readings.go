// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"iter"
	"regexp"
	"slices"
	"strings"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/scope"
)

// reachable is the programmatic surface, written down once more: the oracle does not
// ask the code that it judges.
var reachable = []rule{
	permit(v1alpha1.ScopeIngest, `/v1/(metrics|logs|traces)`, "POST"),
	permit(v1alpha1.ScopeIngest, `/opentelemetry\.proto\.collector\.(metrics\.v1\.Metrics|logs\.v1\.Logs|trace\.v1\.Trace)Service/Export`, "POST"),
	permit(v1alpha1.ScopeQuery, `/api/v1/dsl`, "POST"),
	permit(v1alpha1.ScopeAnnotations, `/api/v1/annotations`, "GET", "POST"),
	permit(v1alpha1.ScopeAnnotations, `/api/v1/annotations/[^/\x00-\x1f]+`, "GET", "PUT", "PATCH", "DELETE"),
	permit(v1alpha1.ScopeHeartbeats, `/api/v1/heartbeats`, "POST"),
	permit(v1alpha1.ScopeHeartbeats, `/api/v1/heartbeats/[^/\x00-\x1f]+`, "GET", "HEAD", "POST", "PUT"),
}

type rule struct {
	scope         scope.Set
	methods       []string
	path, anyCase *regexp.Regexp
}

func permit(needed v1alpha1.Scope, path string, methods ...string) rule {
	return rule{scope.Of(needed), methods, regexp.MustCompile("^" + path + "$"), regexp.MustCompile("(?i)^" + path + "$")}
}

func (r *rule) permits(grant *registry.Grant, method string) bool {
	return slices.Contains(r.methods, method) && grant.Scopes.Contains(r.scope)
}

// mayReach reports whether a key may make a request whose path is read like this.
func mayReach(grant *registry.Grant, method, path string) bool {
	return slices.ContainsFunc(reachable, func(r rule) bool { return r.permits(grant, method) && r.path.MatchString(path) && !endsInDots(path) })
}

// mayReachFolded does it without regard to case.
func mayReachFolded(grant *registry.Grant, method, path string) bool {
	return slices.ContainsFunc(reachable, func(r rule) bool { return r.permits(grant, method) && r.anyCase.MatchString(path) && !endsInDots(path) })
}

func endsInDots(path string) bool {
	return strings.HasSuffix(path, "/..") || strings.HasSuffix(path, "/.")
}

// transformations are what servers do to a path before they look at it.
var transformations = []func(string) string{
	percentDecode,
	func(p string) string { return strings.ReplaceAll(p, `\`, "/") },
	func(p string) string { return parameters.ReplaceAllString(p, "") },
	func(p string) string { return slashes.ReplaceAllString(p, "/") },
	func(p string) string { return cut(p, "\x00") },
	func(p string) string { return cut(p, "#") },
	func(p string) string { return cut(p, "?") },
	removeDotSegments,
	strings.ToLower,
	strings.NewReplacer("\xc0\xae", ".", "\xc0\xaf", "/", "\xc1\x9c", `\`, "\uff0e", ".", "\uff0f", "/").Replace, // overlong and full-width
	func(p string) string { return strings.TrimRight(p, ". ") },                                                  // as on Windows
}

var (
	parameters = regexp.MustCompile(`;[^/]*`)
	slashes    = regexp.MustCompile(`/+`)
)

func cut(s, separator string) string {
	before, _, _ := strings.Cut(s, separator)
	return before
}

// percentDecode decodes what can be decoded, and leaves the rest.
func percentDecode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// removeDotSegments is RFC 3986, section 5.2.4.
func removeDotSegments(p string) string {
	if !strings.HasPrefix(p, "/") {
		return p
	}
	segments := strings.Split(p[1:], "/")
	var kept []string
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".", "..":
			if s == ".." && len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
			if last {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, s)
		}
	}
	return "/" + strings.Join(kept, "/")
}

// maxReadings bounds the search; a path with more is no plain one.
const maxReadings = 400

// allReadings are the paths that a target can be read as, beginning with the one that was
// sent: all that can be made of it by doing these things in any order, any number of times.
func allReadings(target string) iter.Seq[string] {
	return func(yield func(string) bool) {
		found := []string{cut(target, "?")}
		seen := map[string]bool{found[0]: true}
		for i := 0; i < len(found) && i < maxReadings; i++ {
			if !yield(found[i]) {
				return
			}
			for _, transform := range transformations {
				if p := transform(found[i]); !seen[p] {
					seen[p] = true
					found = append(found, p)
				}
			}
		}
	}
}
