// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"errors"
	"maps"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
)

// istioRoutes is TranslateRoute and what it calls: pilot/pkg/networking/core/route/route.go.
// The routes keep their order.
func istioRoutes(data []byte) ([]*routev3.Route, error) {
	service := &networkingv1alpha3.VirtualService{}
	if err := errors.Join(istioSpec(data, "VirtualService", service), onlyKnown(service, []string{"hosts", "gateways", "http"})); err != nil {
		return nil, err
	}
	var routes []*routev3.Route
	for _, from := range service.GetHttp() {
		route, err := istioRoute(from)
		if err != nil {
			return nil, err
		}
		routes = append(routes, route)
	}
	return routes, nil
}

func istioRoute(from *networkingv1alpha3.HTTPRoute) (*routev3.Route, error) {
	request, response := from.GetHeaders().GetRequest(), from.GetHeaders().GetResponse()
	if err := errors.Join(
		onlyKnown(from, []string{"name", "match", "headers", "route", "timeout", "direct_response"}),
		onlyKnown(request, []string{"remove"}), onlyKnown(response, []string{"set"}),
	); err != nil {
		return nil, err
	}
	if len(from.GetMatch()) != 1 || len(from.GetRoute())+proto.Size(from.GetDirectResponse()) == 0 {
		return nil, unknown("a route but with one match, and a destination or an answer: %v", from)
	}
	match, err := istioMatch(from.GetMatch()[0])
	if err != nil {
		return nil, err
	}
	// dropInternal: pseudo headers and Host stay. Envoy's router does not remove them either.
	route := &routev3.Route{Name: from.GetName(), Match: match, RequestHeadersToRemove: request.GetRemove()}
	for _, name := range slices.Sorted(maps.Keys(response.GetSet())) {
		route.ResponseHeadersToAdd = append(route.ResponseHeadersToAdd, overwrite(name, response.GetSet()[name]))
	}
	route.Action = toUpstream()
	if direct := from.GetDirectResponse(); direct != nil {
		route.Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{
			Status: direct.GetStatus(), Body: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: direct.GetBody().GetString_()}},
		}}
	}
	return route, nil
}

// istioMatch is TranslateRouteMatch.
func istioMatch(from *networkingv1alpha3.HTTPMatchRequest) (*routev3.RouteMatch, error) {
	if err := onlyKnown(from, []string{"uri", "headers"}); err != nil {
		return nil, err
	}
	if from.GetUri().GetPrefix() != "/" {
		return nil, unknown("a match of paths but of all: %v", from)
	}
	match := &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}
	for _, name := range slices.Sorted(maps.Keys(from.GetHeaders())) {
		expression := from.GetHeaders()[name].GetRegex()
		if expression == "" || expression == "*" || strings.HasPrefix(name, "@") {
			return nil, unknown("a match of headers but by an expression: %v", from)
		}
		match.Headers = append(match.Headers, &routev3.HeaderMatcher{
			Name: name, HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: regex(expression)},
		})
	}
	return match, nil
}

// istioPatch merges the patches into what they are for:
// pilot/pkg/networking/core/envoyfilter/listener_patch.go.
func istioPatch(data []byte, manager, authz proto.Message) error {
	filter := &networkingv1alpha3.EnvoyFilter{}
	if err := errors.Join(istioSpec(data, "EnvoyFilter", filter), onlyKnown(filter, []string{"workload_selector", "config_patches"})); err != nil {
		return err
	}
	for _, patch := range filter.GetConfigPatches() {
		var target proto.Message
		match := patch.GetMatch().GetListener().GetFilterChain().GetFilter()
		switch {
		case patch.GetMatch().GetContext() != networkingv1alpha3.EnvoyFilter_GATEWAY || patch.GetPatch().GetOperation() != networkingv1alpha3.EnvoyFilter_Patch_MERGE ||
			match.GetName() != "envoy.filters.network.http_connection_manager":
		case patch.GetApplyTo() == networkingv1alpha3.EnvoyFilter_NETWORK_FILTER && match.GetSubFilter() == nil:
			target = manager
		case patch.GetApplyTo() == networkingv1alpha3.EnvoyFilter_HTTP_FILTER && match.GetSubFilter().GetName() == "envoy.filters.http.ext_authz":
			target = authz
		}
		fields := patch.GetPatch().GetValue().GetFields()
		if target == nil || len(fields) != 1 || fields["typed_config"] == nil {
			return unknown("the patch %v", patch)
		}
		if err := istioMerge(fields["typed_config"], target); err != nil {
			return err
		}
	}
	return nil
}

// istioMerge merges lists by appending, and fields by replacing.
func istioMerge(value, target proto.Message) error {
	data, err := protojson.Marshal(value)
	if err != nil {
		return err
	}
	packed := &anypb.Any{}
	if err := protojson.Unmarshal(data, packed); err != nil {
		return err
	}
	if !packed.MessageIs(target) {
		return unknown("a patch of %s for %s", packed.GetTypeUrl(), target.ProtoReflect().Descriptor().FullName())
	}
	patch, err := packed.UnmarshalNew()
	if err != nil {
		return err
	}
	proto.Merge(target, patch)
	return nil
}
