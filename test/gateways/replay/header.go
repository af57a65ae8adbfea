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

// remove removes the headers whose names match one of the patterns.
func remove(h http.Header, patterns []*matcherv3.StringMatcher) {
	maps.DeleteFunc(h, func(name string, _ []string) bool { return named(patterns, name) })
}

// apply applies HeaderValueOptions, with these commands and what they stand for in the
// values: source/common/router/header_parser.cc, and getAppendAction in
// source/extensions/filters/common/ext_authz/ext_authz_grpc_impl.cc.
func apply(h http.Header, options []*corev3.HeaderValueOption, commands ...string) {
	for _, option := range options {
		name, action := http.CanonicalHeaderKey(option.GetHeader().GetKey()), option.GetAppendAction()
		value := strings.NewReplacer(commands...).Replace(option.GetHeader().GetValue())
		switch _, exists := h[name]; {
		case action == corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD:
			h[name] = append(h[name], value)
		case exists && action == corev3.HeaderValueOption_ADD_IF_ABSENT, !exists && action == corev3.HeaderValueOption_OVERWRITE_IF_EXISTS:
		default:
			h[name] = []string{value}
		}
	}
}

// named is whether one of the patterns matches the name of a header, which Envoy has in
// lower case.
func named(patterns []*matcherv3.StringMatcher, name string) bool {
	return matches(patterns, strings.ToLower(name))
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
