// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"sigs.k8s.io/yaml"

	"github.com/hexcovery/apikey-operator/test/gateways/manifests"
)

// authCluster and upstreamCluster stand for addresses, which are in Options.
const authCluster, upstreamCluster = "authserver", "upstream"

// newManager is what Istio and Envoy Gateway both begin with. Left out is what concerns
// neither what is asked nor what arrives: access logs, request IDs, certificates.
func newManager() *hcmv3.HttpConnectionManager {
	return &hcmv3.HttpConnectionManager{
		StatPrefix: "replay", CodecType: hcmv3.HttpConnectionManager_AUTO,
		UseRemoteAddress:    wrapperspb.Bool(true),
		HttpProtocolOptions: &corev3.Http1ProtocolOptions{},
		UpgradeConfigs:      []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}},
	}
}

// addFilters puts these filters before the router.
func addFilters(manager *hcmv3.HttpConnectionManager, filters ...proto.Message) error {
	for _, filter := range append(filters, &routerv3.Router{}) {
		packed, err := anypb.New(filter)
		if err != nil {
			return err
		}
		manager.HttpFilters = append(manager.HttpFilters, &hcmv3.HttpFilter{
			Name: string(filter.ProtoReflect().Descriptor().FullName()), ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed},
		})
	}
	return nil
}

// plainHost is the names that the one virtual host takes. The files name one host, as an
// example; tests send many. What is no name at all is no virtual host's: 404.
var plainHost = &routev3.Route{
	Match: &routev3.RouteMatch{
		PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"},
		Headers: []*routev3.HeaderMatcher{{
			Name: ":authority", InvertMatch: true,
			HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: regex(`[A-Za-z0-9._:\[\]-]+`)},
		}},
	},
	Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: 404}},
}

func setRoutes(manager *hcmv3.HttpConnectionManager, routes []*routev3.Route) {
	host := &routev3.VirtualHost{Name: "replay", Domains: []string{"*"}, Routes: append([]*routev3.Route{plainHost}, routes...)}
	manager.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{VirtualHosts: []*routev3.VirtualHost{host}}}
}

func regex(expression string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: expression}}}
}

func toUpstream() *routev3.Route_Route {
	return &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: upstreamCluster}}}
}

// overwrite is a header that takes the place of one of that name.
func overwrite(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header: &corev3.HeaderValue{Key: name, Value: value}, AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

// startManager serves what a program has made of its files.
func startManager(ctx context.Context, manager *hcmv3.HttpConnectionManager, options Options) (*Gateway, error) {
	if err := manifests.Validate(manager); err != nil {
		return nil, err
	}
	config, err := newConfig(manager)
	if err != nil {
		return nil, err
	}
	return startEnvoy(ctx, config, options)
}

// knownKinds may stand in one file. GatewayClass and Gateway say where Envoy listens.
var knownKinds = []string{"GatewayClass", "Gateway", "ClientTrafficPolicy", "HTTPRoute", "HTTPRouteFilter", "VirtualService"}

// specOf returns the spec of the one object of this kind.
func specOf(data []byte, kind string) (json.RawMessage, error) {
	var found []json.RawMessage
	for document := range bytes.SplitSeq(data, []byte("\n---\n")) {
		var object struct {
			APIVersion string          `json:"apiVersion"`
			Kind       string          `json:"kind"`
			Metadata   map[string]any  `json:"metadata"`
			Spec       json.RawMessage `json:"spec"`
		}
		if err := yaml.UnmarshalStrict(document, &object); err != nil {
			return nil, err
		}
		switch {
		case object.Kind == kind:
			found = append(found, object.Spec)
		case !slices.Contains(knownKinds, object.Kind):
			return nil, unknown("objects of the kind %q", object.Kind)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("a replay knows one %s, and found %d", kind, len(found))
	}
	return found[0], nil
}

// errUnknown is of what a translation would ignore.
var errUnknown = errors.New("a replay does not know")

func unknown(format string, values ...any) error {
	return fmt.Errorf("%w %s", errUnknown, fmt.Sprintf(format, values...))
}
