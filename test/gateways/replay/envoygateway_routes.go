// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"cmp"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// gatewayRoutes is buildXdsRoute (internal/xds/translator/route.go). Of rules that match
// the same paths the one that matches more headers comes first
// (internal/gatewayapi/sort.go). A policy for a Gateway is each rule's, also of one that
// answers by itself (internal/gatewayapi/securitypolicy.go).
func gatewayRoutes(specs *gatewaySpecs) ([]*routev3.Route, error) {
	var routes []*routev3.Route
	for _, rule := range specs.route.Rules {
		route, err := rule.route(&specs.answer)
		if err != nil {
			return nil, err
		}
		routes = append(routes, route)
	}
	slices.SortStableFunc(routes, func(a, b *routev3.Route) int {
		return cmp.Compare(len(b.GetMatch().GetHeaders()), len(a.GetMatch().GetHeaders()))
	})
	return routes, nil
}

func (r *gatewayRule) route(answer *gatewayAnswer) (*routev3.Route, error) {
	if len(r.Matches) != 1 || r.Matches[0].Path != (gatewayMatch{Type: "PathPrefix", Value: "/"}) {
		return nil, unknown("a rule but with one match, of all paths: %v", r.Matches)
	}
	match := &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}
	for _, header := range r.Matches[0].Headers {
		m, err := header.matcher()
		if err != nil {
			return nil, err
		}
		match.Headers = append(match.Headers, &routev3.HeaderMatcher{Name: header.Name, HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: m}})
	}
	route := &routev3.Route{Name: r.Name, Match: match, Action: toUpstream()}
	for _, filter := range r.Filters {
		switch filter.Type {
		case "RequestHeaderModifier":
			route.RequestHeadersToRemove = append(route.RequestHeadersToRemove, filter.RequestHeaderModifier.Remove...)
		case "ResponseHeaderModifier":
			filter.ResponseHeaderModifier.add(route)
		case "ExtensionRef":
			if filter.ExtensionRef.Kind != "HTTPRouteFilter" || answer.DirectResponse.Body.Type != "Inline" {
				return nil, unknown("an extension but an answer of its own: %v", filter.ExtensionRef)
			}
			answer.answer(route)
		default:
			return nil, unknown("the filter %s", filter.Type)
		}
	}
	if _, answers := route.GetAction().(*routev3.Route_DirectResponse); answers == (len(r.BackendRefs) > 0) {
		return nil, unknown("a rule but with a backend or an answer: %s", r.Name)
	}
	return route, nil
}

func (s gatewaySet) add(route *routev3.Route) {
	for _, set := range s.Set {
		route.ResponseHeadersToAdd = append(route.ResponseHeadersToAdd, overwrite(set.Name, set.Value))
	}
}

// answer has the route answer by itself: internal/gatewayapi/filters.go.
func (a *gatewayAnswer) answer(route *routev3.Route) {
	direct := a.DirectResponse
	route.Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{
		Status: direct.StatusCode, Body: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: direct.Body.Inline}},
	}}
	route.ResponseHeadersToAdd = append(route.ResponseHeadersToAdd, overwrite("Content-Type", direct.ContentType))
	direct.Header.add(route)
}
