// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/json"
	"fmt"
	"slices"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
)

// object is a message of Envoy, or of who configures it, and list a list, as files have
// them.
type (
	object = map[string]any
	list   = []any
)

// typed makes the fields a message of this type.
func typed(name string, fields object) object {
	fields["@type"] = "type.googleapis.com/envoy.extensions." + name
	return fields
}

// newManager is a connection manager that Istio or Envoy Gateway configures: what both
// begin with, and these settings, filters and routes. Left out is what concerns neither
// what is asked nor what arrives: access logs, request IDs, certificates.
func newManager(settings object, filters, routes list) object {
	return merge(typed("filters.network.http_connection_manager.v3.HttpConnectionManager", object{
		"stat_prefix": "replay", "use_remote_address": true,
		"upgrade_configs": list{object{"upgrade_type": "websocket"}},
		"http_filters":    each(extension)(append(filters, typed("filters.http.router.v3.Router", object{}))),
		"route_config": object{"virtual_hosts": list{object{
			"name": "replay", "domains": list{"*"}, "routes": slices.Concat(list{plainHost}, routes),
		}}},
	}), settings)
}

func extension(config any) any { return object{"name": "replay", "typed_config": config} }

// plainHost is the names that the one virtual host takes. The files name one host, as an
// example; tests send many. What is no name at all is no virtual host's: 404.
var plainHost = object{
	"match": object{"prefix": "/", "headers": list{object{
		"name": ":authority", "invert_match": true, "string_match": regex(`[A-Za-z0-9._:\[\]-]+`),
	}}},
	"direct_response": object{"status": 404},
}

// authCluster and upstreamCluster stand for addresses, which are in Options.
const authCluster, upstreamCluster = "authserver", "upstream"

// ask returns the filter that asks the auth server, with these settings: those of the filter,
// the name of its service, which is grpc_service or http_service, and the timeout of that.
func ask(settings object) object {
	service, timeout := fmt.Sprint(settings["service"]), settings["timeout"]
	delete(settings, "service")
	delete(settings, "timeout")
	to := object{"envoy_grpc": object{"cluster_name": authCluster}, "timeout": timeout}
	if service == "http_service" {
		to = object{"server_uri": object{"uri": "http://" + authCluster, "cluster": authCluster, "timeout": timeout}}
	}
	return merge(typed("filters.http.ext_authz.v3.ExtAuthz", object{"transport_api_version": "V3", service: to}), settings)
}

func regex(expression any) object { return object{"safe_regex": object{"regex": expression}} }

// overwrite is a header that takes the place of one of that name.
func overwrite(name, value any) object {
	return object{"header": object{"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
}

// merge has the target have what the other has, too, as protobuf merges messages: lists
// are appended, and other values replaced.
func merge(target, other object) object {
	for name, value := range other {
		switch had := target[name].(type) {
		case object:
			if more, ok := value.(object); ok {
				value = merge(had, more)
			}
		case list:
			if more, ok := value.(list); ok {
				value = slices.Concat(had, more)
			}
		}
		target[name] = value
	}
	return target
}

// parseManager is strict: it refuses fields and words that Envoy does not know.
func parseManager(manager object) (*hcmv3.HttpConnectionManager, error) {
	data, err := json.Marshal(manager)
	if err != nil {
		return nil, err
	}
	packed, parsed := &anypb.Any{}, &hcmv3.HttpConnectionManager{}
	if err := protojson.Unmarshal(data, packed); err != nil {
		return nil, err
	}
	return parsed, packed.UnmarshalTo(parsed)
}
