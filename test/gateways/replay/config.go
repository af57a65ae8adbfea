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
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexcovery/apikey-operator/test/gateways/manifests"
)

// config is what a bootstrap says, as far as a replay knows it.
type config struct {
	manager *hcmv3.HttpConnectionManager
	// removeEarly are the headers that are removed before anything else, and
	// removeEarlyMatching what names of such match.
	removeEarly         []string
	removeEarlyMatching []*matcherv3.StringMatcher
	// removeLate are the headers that are removed from every answer.
	removeLate []string
	authz      *authzv3.ExtAuthz
	host       *routev3.VirtualHost
}

// What a replay knows. The fields of other messages are read one by one below.
var (
	knownOfManager = []string{
		"stat_prefix", "codec_type", "use_remote_address", "normalize_path", "merge_slashes", "path_with_escaped_slashes_action",
		"strip_trailing_host_dot", "strip_matching_host_port", "common_http_protocol_options", "http_protocol_options",
		"http2_protocol_options", "max_request_headers_kb", "request_headers_timeout", "stream_idle_timeout",
		"early_header_mutation_extensions", "http_filters", "local_reply_config", "access_log", "route_config", "upgrade_configs",
	}
	knownOfHTTP1 = []string{"accept_http_10", "ignore_http_11_upgrade"}
	knownOfAuthz = []string{
		"transport_api_version", "grpc_service", "http_service", "failure_mode_allow", "status_on_error", "encode_raw_headers",
		"validate_mutations", "clear_route_cache", "include_peer_certificate", "allowed_headers",
	}
	knownOfHTTPService = []string{"server_uri", "path_prefix", "authorization_response"}
	knownOfHost        = []string{
		"name", "domains", "routes", "request_headers_to_remove", "request_headers_to_add", "response_headers_to_add",
	}
	knownOfRoute = []string{"name", "match", "route", "direct_response", "request_headers_to_remove", "response_headers_to_add"}
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
	manager := &hcmv3.HttpConnectionManager{}
	if err := listeners[0].GetFilterChains()[0].GetFilters()[0].GetTypedConfig().UnmarshalTo(manager); err != nil {
		return nil, err
	}
	return newConfig(manager)
}

// newConfig reads what a connection manager has, of a bootstrap or as another program
// makes it.
func newConfig(manager *hcmv3.HttpConnectionManager) (*config, error) {
	if action := manager.GetPathWithEscapedSlashesAction(); action == hcmv3.HttpConnectionManager_UNESCAPE_AND_FORWARD ||
		action == hcmv3.HttpConnectionManager_UNESCAPE_AND_REDIRECT {
		return nil, errors.New("a replay does not unescape slashes")
	}
	c := &config{manager: manager}
	err := errors.Join(onlyKnown(manager, knownOfManager), onlyKnown(manager.GetHttpProtocolOptions(), knownOfHTTP1),
		c.parseEarly(), c.parseFilters(), c.parseRoutes())
	if err == nil && c.authz == nil {
		err = errors.New("nobody is asked")
	}
	return c, err
}

func (c *config) parseEarly() error {
	for _, extension := range c.manager.GetEarlyHeaderMutationExtensions() {
		early := &earlyv3.HeaderMutation{}
		if err := extension.GetTypedConfig().UnmarshalTo(early); err != nil {
			return err
		}
		for _, mutation := range early.GetMutations() {
			switch key := mutation.GetRemoveOnMatch().GetKeyMatcher(); {
			case mutation.GetRemove() != "":
				c.removeEarly = append(c.removeEarly, strings.ToLower(mutation.GetRemove()))
			case key == nil:
				return fmt.Errorf("a replay knows no early mutation but the removals: %v", mutation)
			case slices.ContainsFunc([]string{":method", ":path", ":authority", ":scheme"}, func(name string) bool { return matchesOne(key, name) }):
				return fmt.Errorf("an early mutation removes what is no header: %v", mutation)
			default:
				c.removeEarlyMatching = append(c.removeEarlyMatching, key)
			}
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
		case *mutationv3.HeaderMutation:
			for _, mutation := range f.GetMutations().GetResponseMutations() {
				c.removeLate = append(c.removeLate, strings.ToLower(mutation.GetRemove()))
			}
			if err := onlyKnown(f.GetMutations(), []string{"response_mutations"}); err != nil || slices.Contains(c.removeLate, "") {
				return errors.Join(err, fmt.Errorf("a replay knows no late mutation but remove, of an answer: %v", f))
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
