// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	authzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexcovery/apikey-operator/test/gateways/manifests"
)

// config is what a bootstrap says, as far as a replay knows it.
type config struct {
	manager *hcmv3.HttpConnectionManager
	// removeEarly are the headers that are removed before anything else.
	removeEarly []string
	authz       *authzv3.ExtAuthz
	host        *routev3.VirtualHost
}

// What a replay knows. The fields of other messages are read one by one below.
var (
	knownOfManager = []string{
		"stat_prefix", "codec_type", "use_remote_address", "normalize_path", "merge_slashes", "path_with_escaped_slashes_action",
		"strip_trailing_host_dot", "strip_matching_host_port", "common_http_protocol_options", "http_protocol_options",
		"http2_protocol_options", "max_request_headers_kb", "request_headers_timeout", "stream_idle_timeout",
		"early_header_mutation_extensions", "http_filters", "local_reply_config", "access_log", "route_config",
	}
	knownOfAuthz = []string{
		"transport_api_version", "grpc_service", "http_service", "failure_mode_allow", "status_on_error", "encode_raw_headers",
		"validate_mutations", "clear_route_cache", "include_peer_certificate", "allowed_headers",
	}
	knownOfHTTPService = []string{"server_uri", "path_prefix", "authorization_response"}
	knownOfHost        = []string{
		"name", "domains", "routes", "request_headers_to_remove", "request_headers_to_add", "response_headers_to_add",
	}
	knownOfRoute = []string{"match", "route", "direct_response", "response_headers_to_add"}
	knownOfMatch = []string{"prefix", "headers"}
)

func parse(data []byte) (*config, error) {
	bootstrap, err := manifests.ParseBootstrap(data)
	if err != nil {
		return nil, err
	}
	listeners := bootstrap.GetStaticResources().GetListeners()
	if len(listeners) != 1 || len(listeners[0].GetFilterChains()) != 1 || len(listeners[0].GetFilterChains()[0].GetFilters()) != 1 {
		return nil, errors.New("a replay knows one listener with one filter chain of one filter")
	}
	c := &config{manager: &hcmv3.HttpConnectionManager{}}
	if err := listeners[0].GetFilterChains()[0].GetFilters()[0].GetTypedConfig().UnmarshalTo(c.manager); err != nil {
		return nil, err
	}
	return c, errors.Join(onlyKnown(c.manager, knownOfManager), c.parseEarly(), c.parseFilters(), c.parseRoutes())
}

func (c *config) parseEarly() error {
	for _, extension := range c.manager.GetEarlyHeaderMutationExtensions() {
		early := &earlyv3.HeaderMutation{}
		if err := extension.GetTypedConfig().UnmarshalTo(early); err != nil {
			return err
		}
		for _, mutation := range early.GetMutations() {
			if mutation.GetRemove() == "" {
				return fmt.Errorf("a replay knows no early mutation but remove: %v", mutation)
			}
			c.removeEarly = append(c.removeEarly, strings.ToLower(mutation.GetRemove()))
		}
	}
	return nil
}

func (c *config) parseFilters() error {
	for i, filter := range c.manager.GetHttpFilters() {
		unpacked, err := filter.GetTypedConfig().UnmarshalNew()
		if err != nil {
			return err
		}
		switch f := unpacked.(type) {
		case *authzv3.ExtAuthz:
			if c.authz != nil || filter.GetDisabled() || filter.GetIsOptional() {
				return errors.New("a replay knows one ext_authz that is on")
			}
			c.authz = f
			if err := errors.Join(onlyKnown(f, knownOfAuthz), onlyKnown(f.GetHttpService(), knownOfHTTPService)); err != nil {
				return err
			}
		case *ratelimitv3.LocalRateLimit:
			// It refuses more, and lets in nothing: a replay has no limits.
		case *routerv3.Router:
			if i != len(c.manager.GetHttpFilters())-1 {
				return errors.New("the router has to be the last filter")
			}
		default:
			return fmt.Errorf("a replay does not know the filter %s", filter.GetName())
		}
	}
	return nil
}

func (c *config) parseRoutes() error {
	hosts := c.manager.GetRouteConfig().GetVirtualHosts()
	if len(hosts) != 1 || !slices.Equal(hosts[0].GetDomains(), []string{"*"}) {
		return errors.New(`a replay knows one virtual host for "*"`)
	}
	c.host = hosts[0]
	errs := []error{onlyKnown(c.host, knownOfHost)}
	for _, route := range c.host.GetRoutes() {
		errs = append(errs, onlyKnown(route, knownOfRoute), onlyKnown(route.GetMatch(), knownOfMatch))
		for _, header := range route.GetMatch().GetHeaders() {
			if header.GetStringMatch() == nil || header.GetTreatMissingHeaderAsEmpty() {
				errs = append(errs, fmt.Errorf("a replay knows no match of headers but string_match, inverted or not: %v", header))
			}
		}
	}
	return errors.Join(errs...)
}

// onlyKnown refuses fields that a replay would ignore.
func onlyKnown(message proto.Message, known []string) error {
	var errs []error
	message.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !slices.Contains(known, string(field.Name())) {
			errs = append(errs, fmt.Errorf("a replay does not know %s", field.FullName()))
		}
		return true
	})
	return errors.Join(errs...)
}
