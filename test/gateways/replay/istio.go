// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	meshv1alpha1 "istio.io/api/mesh/v1alpha1"
	securityv1beta1 "istio.io/api/security/v1beta1"

	"github.com/hexcovery/apikey-operator/test/gateways/manifests"
)

// IstioFiles are those of config/gateways/istio.
type IstioFiles struct {
	MeshConfig, AuthorizationPolicy, VirtualService, EnvoyFilter []byte
	// Provider is asked in place of the one that the policy names, if it is not empty.
	Provider string
}

// StartIstio serves what istiod (1.31) has the Envoy of an ingress gateway do, until
// Stop.
func StartIstio(ctx context.Context, files IstioFiles, options Options) (*Gateway, error) {
	manager, err := istioManager(files)
	if err != nil {
		return nil, fmt.Errorf("start the replay of Istio: %w", err)
	}
	return startManager(ctx, manager, options)
}

// istioManager is buildHTTPConnectionManager (pilot/pkg/networking/core/listener_builder.go)
// for a gateway (gateway.go), as far as it matters, with the patches on top.
func istioManager(files IstioFiles) (*hcmv3.HttpConnectionManager, error) {
	mesh := &meshv1alpha1.MeshConfig{}
	if err := errors.Join(manifests.ParseMessage(files.MeshConfig, mesh), onlyKnown(mesh, []string{"extension_providers", "path_normalization"})); err != nil {
		return nil, err
	}
	manager := newManager()
	manager.NormalizePath = wrapperspb.Bool(true)
	manager.PathWithEscapedSlashesAction = hcmv3.HttpConnectionManager_KEEP_UNCHANGED
	switch n := mesh.GetPathNormalization().GetNormalization(); n {
	case meshv1alpha1.MeshConfig_ProxyPathNormalization_DEFAULT, meshv1alpha1.MeshConfig_ProxyPathNormalization_BASE:
	case meshv1alpha1.MeshConfig_ProxyPathNormalization_NONE:
		manager.NormalizePath = wrapperspb.Bool(false)
	case meshv1alpha1.MeshConfig_ProxyPathNormalization_MERGE_SLASHES:
		manager.MergeSlashes = true
	default:
		return nil, unknown("the path normalization %s", n)
	}
	provider, err := istioProvider(files)
	if err != nil {
		return nil, err
	}
	authz, err := istioAuthz(mesh, provider)
	if err != nil {
		return nil, err
	}
	routes, err := istioRoutes(files.VirtualService)
	if err != nil {
		return nil, err
	}
	setRoutes(manager, routes)
	if err := istioPatch(files.EnvoyFilter, manager, authz); err != nil {
		return nil, err
	}
	return manager, addFilters(manager, authz)
}

// istioProvider is who is asked. A policy with one rule without conditions becomes a
// filter that marks every request, and ext_authz asks about those that are marked:
// pilot/pkg/security/authz/builder/builder.go. Here it asks about all.
func istioProvider(files IstioFiles) (string, error) {
	policy := &securityv1beta1.AuthorizationPolicy{}
	if err := istioSpec(files.AuthorizationPolicy, "AuthorizationPolicy", policy); err != nil {
		return "", err
	}
	rules := policy.GetRules()
	if policy.GetAction() != securityv1beta1.AuthorizationPolicy_CUSTOM || len(rules) != 1 || proto.Size(rules[0]) != 0 {
		return "", unknown("a policy but of action CUSTOM with one rule without conditions")
	}
	if files.Provider != "" {
		return files.Provider, nil
	}
	return policy.GetProvider().GetName(), nil
}

func istioSpec(data []byte, kind string, into proto.Message) error {
	spec, err := specOf(data, kind)
	if err != nil {
		return err
	}
	return protojson.Unmarshal(spec, into)
}

// istioAuthz is generateGRPCConfig and generateHTTPConfig:
// pilot/pkg/security/authz/builder/extauthz.go. There is neither encode_raw_headers in
// them nor clear_route_cache, whatever the provider says of it.
func istioAuthz(mesh *meshv1alpha1.MeshConfig, name string) (*authzv3.ExtAuthz, error) {
	for _, provider := range mesh.GetExtensionProviders() {
		if provider.GetName() != name {
			continue
		}
		if p := provider.GetEnvoyExtAuthzGrpc(); p != nil {
			return istioOverGRPC(p)
		}
		if p := provider.GetEnvoyExtAuthzHttp(); p != nil {
			return istioOverHTTP(p)
		}
	}
	return nil, fmt.Errorf("the mesh configuration has no provider %q that can be asked", name)
}

func istioOverGRPC(p *meshv1alpha1.MeshConfig_ExtensionProvider_EnvoyExternalAuthorizationGrpcProvider) (*authzv3.ExtAuthz, error) {
	if err := onlyKnown(p, []string{"service", "port", "timeout", "fail_open", "status_on_error"}); err != nil {
		return nil, err
	}
	status, err := istioStatus(p.GetStatusOnError())
	return &authzv3.ExtAuthz{
		StatusOnError: status, FailureModeAllow: p.GetFailOpen(), TransportApiVersion: corev3.ApiVersion_V3,
		Services: &authzv3.ExtAuthz_GrpcService{GrpcService: &corev3.GrpcService{
			TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: authCluster}},
			Timeout:         istioTimeout(p.GetTimeout()),
		}},
	}, err
}

func istioOverHTTP(p *meshv1alpha1.MeshConfig_ExtensionProvider_EnvoyExternalAuthorizationHttpProvider) (*authzv3.ExtAuthz, error) {
	if err := onlyKnown(p, []string{
		"service", "port", "path_prefix", "timeout", "fail_open", "status_on_error",
		"include_request_headers_in_check", "headers_to_upstream_on_allow", "headers_to_downstream_on_deny",
	}); err != nil {
		return nil, err
	}
	status, err := istioStatus(p.GetStatusOnError())
	service := &authzv3.HttpService{
		PathPrefix: p.GetPathPrefix(),
		ServerUri: &corev3.HttpUri{
			Uri: "http://" + p.GetService(), HttpUpstreamType: &corev3.HttpUri_Cluster{Cluster: authCluster}, Timeout: istioTimeout(p.GetTimeout()),
		},
		AuthorizationResponse: &authzv3.AuthorizationResponse{
			AllowedUpstreamHeaders: istioHeaders(p.GetHeadersToUpstreamOnAllow()),
			AllowedClientHeaders:   istioHeaders(p.GetHeadersToDownstreamOnDeny()),
		},
	}
	return &authzv3.ExtAuthz{
		StatusOnError: status, FailureModeAllow: p.GetFailOpen(), TransportApiVersion: corev3.ApiVersion_V3,
		AllowedHeaders: istioHeaders(p.GetIncludeRequestHeadersInCheck()),
		Services:       &authzv3.ExtAuthz_HttpService{HttpService: service},
	}, err
}

// istioHeaders is generateHeaders: exact, or with a * before or after it, in either case.
func istioHeaders(names []string) *matcherv3.ListStringMatcher {
	if len(names) == 0 {
		return nil
	}
	list := &matcherv3.ListStringMatcher{}
	for _, name := range names {
		m := &matcherv3.StringMatcher{IgnoreCase: true}
		if suffix, ok := strings.CutPrefix(name, "*"); ok {
			m.MatchPattern = &matcherv3.StringMatcher_Suffix{Suffix: suffix}
		} else if prefix, ok := strings.CutSuffix(name, "*"); ok {
			m.MatchPattern = &matcherv3.StringMatcher_Prefix{Prefix: prefix}
		} else {
			m.MatchPattern = &matcherv3.StringMatcher_Exact{Exact: name}
		}
		list.Patterns = append(list.Patterns, m)
	}
	return list
}

// istioStatus is parseStatusOnError: without one it is Envoy's own, 403.
func istioStatus(status string) (*typev3.HttpStatus, error) {
	if status == "" {
		return nil, nil
	}
	code, err := strconv.ParseInt(status, 10, 32)
	return &typev3.HttpStatus{Code: typev3.StatusCode(code)}, err
}

// istioTimeout is timeoutOrDefault.
func istioTimeout(timeout *durationpb.Duration) *durationpb.Duration {
	if timeout == nil {
		return &durationpb.Duration{Seconds: 600}
	}
	return timeout
}
