// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"sigs.k8s.io/yaml"
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
	return start(ctx, "Istio", files.manager, options)
}

// manager is buildHTTPConnectionManager (pilot/pkg/networking/core/listener_builder.go)
// for a gateway (gateway.go), as far as it matters, with the patches on top.
func (f IstioFiles) manager() (*hcmv3.HttpConnectionManager, error) {
	specs, err := readSpecs(map[string][]byte{
		"AuthorizationPolicy": f.AuthorizationPolicy, "VirtualService": f.VirtualService, "EnvoyFilter": f.EnvoyFilter,
	})
	if err != nil {
		return nil, err
	}
	file, mesh, policy, service := object{}, object{"settings": object{"normalize_path": true}}, object{}, object{}
	if err := errors.Join(
		yaml.UnmarshalStrict(f.MeshConfig, &file), meshRules.translate(file, mesh),
		authorizationRules.translate(specs["AuthorizationPolicy"], policy), serviceRules.translate(specs["VirtualService"], service),
	); err != nil {
		return nil, err
	}
	name := cmp.Or(f.Provider, fmt.Sprint(policy["provider"]))
	authz, ok := mesh[name].(object)
	if !ok {
		return nil, fmt.Errorf("the mesh configuration has no provider %q that can be asked", name)
	}
	manager := newManager(mesh["settings"].(object), list{authz}, service["routes"].(list))
	if err := istioPatch(specs["EnvoyFilter"], manager, authz); err != nil {
		return nil, err
	}
	return parseManager(manager)
}

// meshRules are for the mesh configuration. Its providers have their own names.
var meshRules = rules{
	"pathNormalization.normalization": func(normalization any) (object, error) {
		settings, ok := map[any]object{
			"DEFAULT": {}, "BASE": {}, "NONE": {"normalize_path": false}, "MERGE_SLASHES": {"merge_slashes": true},
		}[normalization]
		if !ok {
			return nil, unknown("the path normalization %v", normalization)
		}
		return object{"settings": settings}, nil
	},
	"extensionProviders": func(providers any) (object, error) {
		questions := object{}
		for _, provider := range providers.(list) {
			for kind, service := range map[string]string{"envoyExtAuthzGrpc": "grpc_service", "envoyExtAuthzHttp": "http_service"} {
				of, ok := provider.(object)[kind].(object)
				if !ok {
					continue
				}
				settings := object{"timeout": "600s"} // timeoutOrDefault
				if err := providerRules.translate(of, settings); err != nil {
					return nil, err
				}
				questions[fmt.Sprint(provider.(object)["name"])] = ask(service, settings)
			}
		}
		return questions, nil
	},
}

// providerRules are generateGRPCConfig and generateHTTPConfig:
// pilot/pkg/security/authz/builder/extauthz.go. There is neither encode_raw_headers in
// them nor clear_route_cache, whatever the provider says of it.
var providerRules = rules{
	"service": ignored, "port": ignored,
	"timeout":                      to("timeout", same),
	"failOpen":                     to("failure_mode_allow", same),
	"statusOnError":                to("status_on_error.code", func(code any) any { return json.Number(fmt.Sprint(code)) }),
	"pathPrefix":                   to("http_service.path_prefix", same),
	"includeRequestHeadersInCheck": to("allowed_headers.patterns", each(namePattern)),
	"headersToUpstreamOnAllow":     to("http_service.authorization_response.allowed_upstream_headers.patterns", each(namePattern)),
	"headersToDownstreamOnDeny":    to("http_service.authorization_response.allowed_client_headers.patterns", each(namePattern)),
}

// namePattern is generateHeaders: exact, or with a * before or after it, in either case.
func namePattern(name any) any {
	if suffix, ok := strings.CutPrefix(name.(string), "*"); ok {
		return object{"suffix": suffix, "ignore_case": true}
	}
	if prefix, ok := strings.CutSuffix(name.(string), "*"); ok {
		return object{"prefix": prefix, "ignore_case": true}
	}
	return exactName(name)
}

// authorizationRules are for an AuthorizationPolicy. With one rule, which has no
// conditions, it becomes a filter that marks every request, and ext_authz asks about those
// that are marked: pilot/pkg/security/authz/builder/builder.go. Here it asks about all.
var authorizationRules = rules{
	"selector": ignored, "action": only("CUSTOM"), "provider.name": to("provider", same),
	"rules": func(conditions any) (object, error) {
		if !reflect.DeepEqual(conditions, list{object{}}) {
			return nil, unknown("a policy but with one rule without conditions")
		}
		return nil, nil
	},
}

// serviceRules are for a VirtualService: TranslateRoute and what it calls,
// pilot/pkg/networking/core/route/route.go. The routes keep their order. dropInternal:
// pseudo headers and Host stay; Envoy's router does not remove them either.
var serviceRules = rules{"hosts": ignored, "gateways": ignored, "http": rules{
	"name": to("name", same), "timeout": ignored,
	"match.uri.prefix":           to("match.prefix", same),
	"match.headers":              to("match.headers", sorted(istioMatch)),
	"headers.request.remove":     to("request_headers_to_remove", same),
	"headers.response.set":       to("response_headers_to_add", sorted(overwrite)),
	"route":                      to("route.cluster", always(upstreamCluster)),
	"directResponse.status":      to("direct_response.status", same),
	"directResponse.body.string": to("direct_response.body.inline_string", same),
}.eachTo("routes", "match")}

// istioMatch is of a header by an expression, which is all that a replay knows.
func istioMatch(name, match any) object {
	return object{"name": name, "string_match": regex(match.(object)["regex"])}
}

// sorted converts the fields of an object, in their order.
func sorted(convert func(name, value any) object) func(any) any {
	return func(value any) any {
		converted := list{}
		for _, name := range slices.Sorted(maps.Keys(value.(object))) {
			converted = append(converted, convert(name, value.(object)[name]))
		}
		return converted
	}
}

// istioPatch merges the patches into what they are for:
// pilot/pkg/networking/core/envoyfilter/listener_patch.go.
func istioPatch(spec, manager, authz object) error {
	patches := object{}
	if err := (rules{"workloadSelector": ignored, "configPatches": to("all", same)}).translate(spec, patches); err != nil {
		return err
	}
	connections := object{"name": "envoy.filters.network.http_connection_manager"}
	question := merge(object{"subFilter": object{"name": "envoy.filters.http.ext_authz"}}, connections)
	for _, patch := range patches["all"].(list) {
		config, _ := within(patch, "patch.value.typed_config").(object)
		var target object
		switch {
		case reflect.DeepEqual(patch, patchOf("NETWORK_FILTER", connections, config)):
			target = manager
		case reflect.DeepEqual(patch, patchOf("HTTP_FILTER", question, config)):
			target = authz
		}
		if target == nil || config["@type"] != target["@type"] {
			return unknown("the patch %v", patch)
		}
		merge(target, config)
	}
	return nil
}

// patchOf is the one way of patching that a replay knows.
func patchOf(what string, filter, config object) object {
	return object{
		"applyTo": what,
		"match":   object{"context": "GATEWAY", "listener": object{"filterChain": object{"filter": filter}}},
		"patch":   object{"operation": "MERGE", "value": object{"typed_config": config}},
	}
}
