// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// header is a header map of Envoy: the names are in lower case, and values of one name
// stay apart.
type header map[string][]string

func lower(from http.Header) header {
	h := make(header, len(from))
	for name, values := range from {
		h[strings.ToLower(name)] = append(h[strings.ToLower(name)], values...)
	}
	return h
}

// names returns the names in order, so that a replay does the same every time.
func (h header) names() []string { return slices.Sorted(maps.Keys(h)) }

func (h header) get(name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

func (h header) into(to http.Header) {
	for name, values := range h {
		to[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
}

// remove removes the headers whose names match one of the patterns.
func (h header) remove(patterns []*matcherv3.StringMatcher) {
	maps.DeleteFunc(h, func(name string, _ []string) bool { return matches(patterns, name) })
}

// apply applies options whose values are as they are.
func (h header) apply(options []*corev3.HeaderValueOption) {
	for _, option := range options {
		h.option(option, option.GetHeader().GetValue())
	}
}

// option applies a HeaderValueOption: source/common/router/header_parser.cc, and
// getAppendAction in source/extensions/filters/common/ext_authz/ext_authz_grpc_impl.cc.
func (h header) option(o *corev3.HeaderValueOption, value string) {
	name, action := strings.ToLower(o.GetHeader().GetKey()), o.GetAppendAction()
	switch _, exists := h[name]; {
	case action == corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD:
		h[name] = append(h[name], value)
	case exists && action == corev3.HeaderValueOption_ADD_IF_ABSENT, !exists && action == corev3.HeaderValueOption_OVERWRITE_IF_EXISTS:
	default:
		h[name] = []string{value}
	}
}

// matches is whether one of the patterns matches: source/common/common/matchers.cc. An
// expression has to match the whole.
func matches(patterns []*matcherv3.StringMatcher, value string) bool {
	return slices.ContainsFunc(patterns, func(m *matcherv3.StringMatcher) bool { return matchesOne(m, value) })
}

func matchesOne(m *matcherv3.StringMatcher, value string) bool {
	fold := func(s string) string { return s }
	if m.GetIgnoreCase() {
		fold = strings.ToLower
	}
	subject := fold(value)
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		return subject == fold(p.Exact)
	case *matcherv3.StringMatcher_Prefix:
		return strings.HasPrefix(subject, fold(p.Prefix))
	case *matcherv3.StringMatcher_Suffix:
		return strings.HasSuffix(subject, fold(p.Suffix))
	case *matcherv3.StringMatcher_Contains:
		return strings.Contains(subject, fold(p.Contains))
	case *matcherv3.StringMatcher_SafeRegex:
		matched, err := regexp.MatchString("^(?:"+p.SafeRegex.GetRegex()+")$", value)
		return err == nil && matched
	}
	return false
}
