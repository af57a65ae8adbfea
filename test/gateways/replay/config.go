// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	mutationsv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	authzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexcovery/apikey-operator/test/gateways/manifests"
)

// config is what a connection manager has, as far as a replay knows it.
type config struct {
	manager *hcmv3.HttpConnectionManager
	// early are the headers that are removed before anything else, and late those that
	// are removed from every answer.
	early, late []*matcherv3.StringMatcher
	authz       *authzv3.ExtAuthz
	host        *routev3.VirtualHost
}

// bootstrapManager is the one connection manager of a bootstrap of Envoy.
func bootstrapManager(files fs.FS, file string) (*hcmv3.HttpConnectionManager, error) {
	data, err := fs.ReadFile(files, file)
	if err != nil {
		return nil, err
	}
	bootstrap, manager := &bootstrapv3.Bootstrap{}, &hcmv3.HttpConnectionManager{}
	if err := manifests.ParseMessage(data, bootstrap); err != nil {
		return nil, err
	}
	listeners := bootstrap.GetStaticResources().GetListeners()
	if len(listeners) != 1 || len(listeners[0].GetFilterChains()) != 1 || len(listeners[0].GetFilterChains()[0].GetFilters()) != 1 {
		return nil, unknown("a bootstrap but with one listener with one filter chain of one filter")
	}
	return manager, listeners[0].GetFilterChains()[0].GetFilters()[0].GetTypedConfig().UnmarshalTo(manager)
}

// newConfig reads a connection manager of a bootstrap, or as another program makes it.
func newConfig(manager *hcmv3.HttpConnectionManager) (*config, error) {
	c := &config{manager: manager}
	errs := []error{manifests.Validate(manager), onlyKnown(manager)}
	if action := manager.GetPathWithEscapedSlashesAction(); action == hcmv3.HttpConnectionManager_UNESCAPE_AND_FORWARD ||
		action == hcmv3.HttpConnectionManager_UNESCAPE_AND_REDIRECT {
		errs = append(errs, unknown("how to unescape slashes"))
	}
	for _, extension := range manager.GetEarlyHeaderMutationExtensions() {
		early := &earlyv3.HeaderMutation{}
		errs = append(errs, extension.GetTypedConfig().UnmarshalTo(early))
		names, err := removals(early.GetMutations())
		c.early, errs = append(c.early, names...), append(errs, err)
	}
	for _, filter := range manager.GetHttpFilters() {
		errs = append(errs, c.addFilter(filter))
	}
	if c.authz == nil {
		errs = append(errs, errors.New("nobody is asked"))
	}
	return c, errors.Join(append(errs, c.setHost())...)
}

// removals are the names that mutations remove, which are all that a replay knows of them.
func removals(mutations []*mutationsv3.HeaderMutation) ([]*matcherv3.StringMatcher, error) {
	var names []*matcherv3.StringMatcher
	for _, mutation := range mutations {
		name := mutation.GetRemoveOnMatch().GetKeyMatcher()
		if name == nil {
			exact := &matcherv3.StringMatcher_Exact{Exact: strings.ToLower(mutation.GetRemove())}
			name = &matcherv3.StringMatcher{MatchPattern: exact}
		}
		names = append(names, name)
	}
	for _, pseudo := range []string{":method", ":path", ":authority", ":scheme"} {
		if matches(names, pseudo) {
			return nil, fmt.Errorf("a mutation removes %s, which is no header", pseudo)
		}
	}
	return names, nil
}

func (c *config) addFilter(filter *hcmv3.HttpFilter) error {
	unpacked, err := filter.GetTypedConfig().UnmarshalNew()
	if err != nil {
		return err
	}
	switch f := unpacked.(type) {
	case *authzv3.ExtAuthz:
		if c.authz != nil {
			return unknown("but one ext_authz")
		}
		c.authz = f
		if f.GetGrpcService().GetTimeout() == nil && f.GetHttpService().GetServerUri().GetTimeout() == nil {
			return unknown("a question without a timeout")
		}
	case *mutationv3.HeaderMutation:
		c.late, err = removals(f.GetMutations().GetResponseMutations())
		return err
	case *ratelimitv3.LocalRateLimit:
		// It refuses more, and lets in nothing: a replay has no limits.
	case *routerv3.Router:
		if filters := c.manager.GetHttpFilters(); filter != filters[len(filters)-1] {
			return errors.New("the router has to be the last filter")
		}
	default:
		return unknown("the filter %s", filter.GetName())
	}
	return nil
}

func (c *config) setHost() error {
	hosts := c.manager.GetRouteConfig().GetVirtualHosts()
	if len(hosts) != 1 || !slices.Equal(hosts[0].GetDomains(), []string{"*"}) {
		return unknown(`virtual hosts but one for "*"`)
	}
	c.host = hosts[0]
	for _, route := range c.host.GetRoutes() {
		if route.GetMatch().GetPrefix() != "/" {
			return unknown("a match of paths but of all: %v", route)
		}
		for _, header := range route.GetMatch().GetHeaders() {
			if header.GetStringMatch() == nil {
				return unknown("a match of headers but string_match, inverted or not: %v", header)
			}
			if _, err := regexp.Compile(header.GetStringMatch().GetSafeRegex().GetRegex()); err != nil {
				return err
			}
		}
	}
	return nil
}

// known are the fields that a replay knows of the messages that it reads. A message that
// is not here has nothing to do with what is asked and what arrives, such as that of an
// access log, or is read with all its fields.
var known = map[protoreflect.FullName]string{
	"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager": `
		stat_prefix codec_type use_remote_address normalize_path merge_slashes path_with_escaped_slashes_action
		strip_trailing_host_dot strip_matching_host_port common_http_protocol_options http_protocol_options
		http2_protocol_options max_request_headers_kb request_headers_timeout stream_idle_timeout
		early_header_mutation_extensions http_filters local_reply_config access_log route_config upgrade_configs`,
	"envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter": "name typed_config",
	"envoy.config.core.v3.HeaderValueOption":                                 "header append_action",
	"envoy.config.core.v3.Http1ProtocolOptions":                              "accept_http_10 ignore_http_11_upgrade",
	"envoy.extensions.filters.http.ext_authz.v3.ExtAuthz": `
		transport_api_version grpc_service http_service failure_mode_allow status_on_error encode_raw_headers
		validate_mutations clear_route_cache include_peer_certificate allowed_headers`,
	"envoy.extensions.filters.http.ext_authz.v3.HttpService":     "server_uri path_prefix authorization_response",
	"envoy.extensions.filters.http.header_mutation.v3.Mutations": "response_mutations",
	"envoy.config.common.mutation_rules.v3.HeaderMutation":       "remove remove_on_match",
	"envoy.config.route.v3.VirtualHost":                          "name domains routes request_headers_to_remove request_headers_to_add response_headers_to_add",
	"envoy.config.route.v3.Route":                                "name match route direct_response request_headers_to_remove response_headers_to_add",
	"envoy.config.route.v3.RouteMatch":                           "prefix headers",
	"envoy.config.route.v3.HeaderMatcher":                        "name string_match invert_match",
}

// onlyKnown refuses fields that a replay would ignore, also of messages inside of this one.
func onlyKnown(message proto.Message) error {
	var errs []error
	err := protorange.Range(message.ProtoReflect(), func(path protopath.Values) error {
		step := path.Index(-1).Step
		if step.Kind() != protopath.FieldAccessStep {
			return nil
		}
		field := step.FieldDescriptor()
		fields, ok := known[field.ContainingMessage().FullName()]
		if ok && !slices.Contains(strings.Fields(fields), string(field.Name())) {
			errs = append(errs, unknown("%s", field.FullName()))
		}
		return nil
	})
	return errors.Join(append(errs, err)...)
}

// unknown is of what a replay would ignore.
func unknown(format string, values ...any) error {
	return fmt.Errorf("a replay does not know "+format, values...)
}
