// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	mutationsv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	headerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// EnvoyGatewayFiles are those of config/gateways/envoy-gateway, with one of the two
// policies.
type EnvoyGatewayFiles struct{ Gateway, HTTPRoute, SecurityPolicy []byte }

// StartEnvoyGateway serves what Envoy Gateway (1.9.1) has its Envoy do, until Stop.
func StartEnvoyGateway(ctx context.Context, files EnvoyGatewayFiles, options Options) (*Gateway, error) {
	manager, err := gatewayManager(files)
	if err != nil {
		return nil, fmt.Errorf("start the replay of Envoy Gateway: %w", err)
	}
	return startManager(ctx, manager, options)
}

// gatewayManager is addHCMToXDSListener: internal/xds/translator/listener.go.
func gatewayManager(files EnvoyGatewayFiles) (*hcmv3.HttpConnectionManager, error) {
	specs, err := parseGateway(files)
	if err != nil {
		return nil, err
	}
	traffic := &specs.traffic
	manager := newManager()
	manager.NormalizePath = wrapperspb.Bool(true)
	// The defaults: internal/gatewayapi/listener.go.
	manager.MergeSlashes = !traffic.Path.DisableMergeSlashes
	if traffic.Path.EscapedSlashesAction != "RejectRequest" {
		return nil, unknown("the action %q on escaped slashes; the default redirects", traffic.Path.EscapedSlashesAction)
	}
	manager.PathWithEscapedSlashesAction = hcmv3.HttpConnectionManager_REJECT_REQUEST
	manager.StripTrailingHostDot = traffic.Headers.Host.StripTrailingHostDot
	manager.CommonHttpProtocolOptions = &corev3.HttpProtocolOptions{}
	switch action := traffic.Headers.WithUnderscoresAction; action {
	case "", "RejectRequest": // buildHeadersWithUnderscoresAction
		manager.CommonHttpProtocolOptions.HeadersWithUnderscoresAction = corev3.HttpProtocolOptions_REJECT_REQUEST
	case "Allow":
	default:
		return nil, unknown("the action %q on underscores", action)
	}
	var errs []error
	for _, upgrade := range traffic.HTTP1.IgnoredUpgradeTypes {
		m, err := upgrade.matcher()
		errs = append(errs, err)
		manager.HttpProtocolOptions.IgnoreHttp_11Upgrade = append(manager.HttpProtocolOptions.IgnoreHttp_11Upgrade, m)
	}
	early, err := gatewayMutations(traffic.Headers.EarlyRequestHeaders)
	packed, err2 := anypb.New(&earlyv3.HeaderMutation{Mutations: early})
	manager.EarlyHeaderMutationExtensions = []*corev3.TypedExtensionConfig{{Name: "early", TypedConfig: packed}}
	late, err3 := gatewayMutations(traffic.Headers.LateResponseHeaders)
	authz, err4 := gatewayAuthz(specs.policy.ExtAuth)
	routes, err5 := gatewayRoutes(specs)
	if err := errors.Join(append(errs, err, err2, err3, err4, err5)...); err != nil {
		return nil, err
	}
	setRoutes(manager, routes)
	// The order of internal/xds/translator/httpfilters.go; on the way back it is the other
	// way round.
	mutation := &headerv3.HeaderMutation{Mutations: &headerv3.Mutations{ResponseMutations: late}}
	return manager, addFilters(manager, mutation, authz)
}

// gatewayMutations is buildHeaderMutationRules: internal/xds/translator/header_mutation.go.
func gatewayMutations(from gatewayHeaderFilter) ([]*mutationsv3.HeaderMutation, error) {
	var mutations []*mutationsv3.HeaderMutation
	for _, name := range from.Remove {
		mutations = append(mutations, &mutationsv3.HeaderMutation{Action: &mutationsv3.HeaderMutation_Remove{Remove: name}})
	}
	for _, match := range from.RemoveOnMatch {
		m, err := match.matcher()
		if err != nil {
			return nil, err
		}
		mutations = append(mutations, &mutationsv3.HeaderMutation{
			Action: &mutationsv3.HeaderMutation_RemoveOnMatch_{RemoveOnMatch: &mutationsv3.HeaderMutation_RemoveOnMatch{KeyMatcher: m}},
		})
	}
	return mutations, nil
}

// matcher is irStringMatch (internal/gatewayapi/helpers.go) and buildXdsStringMatcher
// (internal/xds/translator/route.go).
func (m gatewayMatch) matcher() (*matcherv3.StringMatcher, error) {
	switch m.Type {
	case "", "Exact":
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: m.Value}}, nil
	case "Prefix":
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: m.Value}}, nil
	case "RegularExpression":
		return regex(m.Value), nil
	}
	return nil, unknown("a match of type %s", m.Type)
}

// gatewayAuthz is extAuthConfig: internal/xds/translator/extauth.go. There is no
// encode_raw_headers in it, and no allowed_client_headers.
func gatewayAuthz(from gatewayExtAuth) (*authzv3.ExtAuthz, error) {
	timeout, err := time.ParseDuration(from.Timeout)
	if err != nil || (from.GRPC == nil) == (from.HTTP == nil) {
		return nil, errors.Join(err, unknown("a policy without a timeout, or that does not ask in one way: %v", from))
	}
	authz := &authzv3.ExtAuthz{
		TransportApiVersion: corev3.ApiVersion_V3, FailureModeAllow: from.FailOpen, ClearRouteCache: from.RecomputeRoute,
		AllowedHeaders: gatewayNames(from.HeadersToExtAuth),
	}
	if from.StatusOnError != 0 {
		authz.StatusOnError = &typev3.HttpStatus{Code: typev3.StatusCode(from.StatusOnError)}
	}
	if from.HTTP != nil {
		service := &authzv3.HttpService{
			PathPrefix: from.HTTP.Path,
			ServerUri: &corev3.HttpUri{
				Uri: "http://" + authCluster, HttpUpstreamType: &corev3.HttpUri_Cluster{Cluster: authCluster}, Timeout: durationpb.New(timeout),
			},
		}
		if names := gatewayNames(from.HTTP.HeadersToBackend); names != nil {
			service.AuthorizationResponse = &authzv3.AuthorizationResponse{AllowedUpstreamHeaders: names}
		}
		authz.Services = &authzv3.ExtAuthz_HttpService{HttpService: service}
		return authz, nil
	}
	service := &corev3.GrpcService{
		TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: authCluster}},
		Timeout:         durationpb.New(timeout),
	}
	// buildNonRouteRetryPolicy, oidc.go, and buildRetryOn, route.go.
	if retry := from.GRPC.BackendSettings.Retry; retry.NumRetries != 0 {
		service.RetryPolicy = &corev3.RetryPolicy{
			NumRetries: wrapperspb.UInt32(retry.NumRetries), RetryOn: strings.Join(retry.RetryOn.Triggers, ","),
		}
	}
	authz.Services = &authzv3.ExtAuthz_GrpcService{GrpcService: service}
	return authz, nil
}

// gatewayNames are exact, in either case. An empty list is none.
func gatewayNames(names []string) *matcherv3.ListStringMatcher {
	if len(names) == 0 {
		return nil
	}
	list := &matcherv3.ListStringMatcher{}
	for _, name := range names {
		list.Patterns = append(list.Patterns, &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: name}, IgnoreCase: true})
	}
	return list
}
