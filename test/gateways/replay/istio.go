// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// istioManager is what istiod (1.31) has the Envoy of an ingress gateway do:
// buildHTTPConnectionManager (pilot/pkg/networking/core/listener_builder.go) for a gateway
// (gateway.go), as far as it matters, with the patches on top. The provider is asked in
// place of the one that the policy names, if it is not empty.
func istioManager(files fs.FS, provider string) (*hcmv3.HttpConnectionManager, error) {
	data, err := fs.ReadFile(files, "meshconfig.yaml")
	if err != nil {
		return nil, err
	}
	file := object{}
	badFile := yaml.UnmarshalStrict(data, &file)
	mesh, badMesh := meshRules.translate(file)
	made, badSpecs := istioRules.read(files, "authorizationpolicy.yaml", "virtualservice.yaml", "envoyfilter.yaml")
	authz, badProvider := askProvider(mesh["providers"], cmp.Or(provider, fmt.Sprint(made["provider"])))
	if err := errors.Join(badFile, badMesh, badSpecs, badProvider); err != nil {
		return nil, err
	}
	settings, _ := mesh["settings"].(object)
	manager := newManager(merge(object{"normalize_path": true}, settings), list{authz}, made["routes"].(list))
	if err := patch(manager, authz, made["patches"].(list)); err != nil {
		return nil, err
	}
	return parseManager(manager)
}

// meshRules are for the mesh configuration.
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
	"extensionProviders": to("providers"),
}

// askProvider returns the filter that asks the provider of this name.
func askProvider(providers any, name string) (object, error) {
	all, _ := providers.(list)
	for _, provider := range all {
		for kind, service := range map[string]string{"envoyExtAuthzGrpc": "grpc_service", "envoyExtAuthzHttp": "http_service"} {
			if of := provider.(object); of["name"] == name && of[kind] != nil {
				settings, err := providerRules.translate(of[kind])
				return ask(merge(object{"service": service, "timeout": "600s"}, settings)), err // timeoutOrDefault
			}
		}
	}
	return nil, fmt.Errorf("the mesh configuration has no provider %q that can be asked", name)
}

// providerRules are generateGRPCConfig and generateHTTPConfig:
// pilot/pkg/security/authz/builder/extauthz.go. There is neither encode_raw_headers in
// them nor clear_route_cache, whatever the provider says of it.
var providerRules = rules{
	"service": ignored, "port": ignored,
	"timeout":                      to("timeout"),
	"failOpen":                     to("failure_mode_allow"),
	"statusOnError":                to("status_on_error.code", func(code any) any { return json.Number(fmt.Sprint(code)) }),
	"pathPrefix":                   to("http_service.path_prefix"),
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

// istioRules are for specs.
var istioRules = rules{
	"Gateway": ignored, "AuthorizationPolicy": authorizationRules.translate, "VirtualService": serviceRules.translate,
	"EnvoyFilter": rules{"workloadSelector": ignored, "configPatches": to("patches")}.translate,
}

// authorizationRules are for an AuthorizationPolicy. With one rule, which has no
// conditions, it becomes a filter that marks every request, and ext_authz asks about those
// that are marked: pilot/pkg/security/authz/builder/builder.go. Here it asks about all.
var authorizationRules = rules{
	"selector": ignored, "action": only("CUSTOM"), "provider.name": to("provider"),
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
	"name": to("name"), "timeout": ignored,
	"match.uri.prefix":           to("match.prefix"),
	"match.headers":              to("match.headers", sorted(istioMatch)),
	"headers.request.remove":     to("request_headers_to_remove"),
	"headers.response.set":       to("response_headers_to_add", sorted(overwrite)),
	"route":                      to("route.cluster", always(upstreamCluster)),
	"directResponse.status":      to("direct_response.status"),
	"directResponse.body.string": to("direct_response.body.inline_string"),
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

// patch merges the patches into what they are for:
// pilot/pkg/networking/core/envoyfilter/listener_patch.go.
func patch(manager, authz object, patches list) error {
	connections := object{"name": "envoy.filters.network.http_connection_manager"}
	question := merge(object{"subFilter": object{"name": "envoy.filters.http.ext_authz"}}, connections)
	for _, patch := range patches {
		value, _, _ := unstructured.NestedFieldNoCopy(patch.(object), "patch", "value", "typed_config")
		config, _ := value.(object)
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
