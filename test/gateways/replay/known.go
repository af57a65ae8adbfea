// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"
)

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
