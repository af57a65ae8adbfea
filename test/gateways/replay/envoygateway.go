// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"cmp"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// gatewayManager is what Envoy Gateway (1.9.1) has its Envoy do, with one of the two
// policies: addHCMToXDSListener, internal/xds/translator/listener.go.
func gatewayManager(files fs.FS, policyFile string) (*hcmv3.HttpConnectionManager, error) {
	made, err := gatewayRules.read(files, "gateway.yaml", "httproute.yaml", policyFile)
	if err != nil {
		return nil, err
	}
	// The defaults: internal/gatewayapi/listener.go, and buildHeadersWithUnderscoresAction.
	made = merge(object{"early": object{}, "late": object{}, "settings": object{
		"normalize_path": true, "merge_slashes": true, "path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT",
		"common_http_protocol_options": object{"headers_with_underscores_action": "REJECT_REQUEST"},
	}}, made)
	policy, routes := made["policy"].(object), made["routes"].(list)
	for _, route := range routes {
		if of := route.(object); of["answer"] != nil {
			delete(of, "answer")
			merge(of, made["answer"].(object))
		}
	}
	early := typed("http.early_header_mutation.header_mutation.v3.HeaderMutation", made["early"].(object))
	late := typed("filters.http.header_mutation.v3.HeaderMutation", object{"mutations": made["late"]})
	settings := merge(made["settings"].(object), object{"early_header_mutation_extensions": list{extension(early)}})
	// The order of internal/xds/translator/httpfilters.go; on the way back it is the other
	// way round.
	return parseManager(newManager(settings, list{late, ask(policy)}, byHeaders(routes)))
}

// gatewayRules are for specs. GatewayClass and Gateway say where Envoy listens.
var gatewayRules = rules{
	"GatewayClass": ignored, "Gateway": ignored, "ClientTrafficPolicy": trafficRules.translate, "SecurityPolicy": policyRules.to("policy"),
	"HTTPRoute":       rules{"parentRefs": ignored, "hostnames": ignored, "rules": routeRules.eachTo("routes", "matches")}.translate,
	"HTTPRouteFilter": answerRules.to("answer"),
}

// trafficRules are for a ClientTrafficPolicy: also buildHeaderMutationRules,
// internal/xds/translator/header_mutation.go.
var trafficRules = rules{
	// For a whole Gateway: there is no sectionName.
	"targetRefs.group": ignored, "targetRefs.kind": only("Gateway"), "targetRefs.name": ignored,
	"path.escapedSlashesAction":                 to("settings.path_with_escaped_slashes_action", inEnvoy),
	"path.disableMergeSlashes":                  to("settings.merge_slashes", func(disable any) any { return disable == false }),
	"headers.withUnderscoresAction":             to("settings.common_http_protocol_options.headers_with_underscores_action", inEnvoy),
	"headers.host.stripTrailingHostDot":         to("settings.strip_trailing_host_dot"),
	"headers.earlyRequestHeaders.remove":        to("early.mutations", each(removal)),
	"headers.earlyRequestHeaders.removeOnMatch": to("early.mutations", each(removalOnMatch)),
	"headers.lateResponseHeaders.remove":        to("late.response_mutations", each(removal)),
	"headers.lateResponseHeaders.removeOnMatch": to("late.response_mutations", each(removalOnMatch)),
	"http1.ignoredUpgradeTypes":                 to("settings.http_protocol_options.ignore_http_11_upgrade", each(stringMatch)),
	"timeout.http":                              ignored, // of clients that are slow, of which a replay has none
}

// policyRules are for a SecurityPolicy: extAuthConfig,
// internal/xds/translator/extauth.go, which knows neither encode_raw_headers nor
// allowed_client_headers, and buildNonRouteRetryPolicy, oidc.go.
var policyRules = rules{
	"targetRefs.group": ignored, "targetRefs.kind": only("Gateway"), "targetRefs.name": ignored,
	"extAuth.timeout":                                     to("timeout"),
	"extAuth.failOpen":                                    to("failure_mode_allow"),
	"extAuth.statusOnError":                               to("status_on_error.code"),
	"extAuth.recomputeRoute":                              to("clear_route_cache"),
	"extAuth.headersToExtAuth":                            to("allowed_headers.patterns", each(exactName)),
	"extAuth.grpc.backendRefs":                            to("service", always("grpc_service")),
	"extAuth.grpc.backendSettings.connection":             ignored, // limits of buffers
	"extAuth.grpc.backendSettings.retry.numRetries":       to("grpc_service.retry_policy.num_retries"),
	"extAuth.grpc.backendSettings.retry.retryOn.triggers": to("grpc_service.retry_policy.retry_on", commas),
	"extAuth.http.backendRefs":                            to("service", always("http_service")),
	"extAuth.http.path":                                   to("http_service.path_prefix"),
	"extAuth.http.headersToBackend":                       to("http_service.authorization_response.allowed_upstream_headers.patterns", each(exactName)),
}

// routeRules are for a rule of an HTTPRoute: buildXdsRoute,
// internal/xds/translator/route.go. A policy for a Gateway is each rule's, also of one that
// answers by itself (internal/gatewayapi/securitypolicy.go).
var routeRules = rules{
	"name": to("name"), "timeouts": ignored,
	"matches.path.type":                    only("PathPrefix"),
	"matches.path.value":                   to("match.prefix"),
	"matches.headers":                      to("match.headers", each(headerMatch)),
	"filters.type":                         only("RequestHeaderModifier", "ResponseHeaderModifier", "ExtensionRef"),
	"filters.requestHeaderModifier.remove": to("request_headers_to_remove"),
	"filters.responseHeaderModifier.set":   to("response_headers_to_add", each(overwriteBy)),
	"filters.extensionRef.group":           ignored,
	"filters.extensionRef.kind":            only("HTTPRouteFilter"),
	"filters.extensionRef.name":            to("answer"),
	"backendRefs":                          to("route.cluster", always(upstreamCluster)),
}

// answerRules are for an HTTPRouteFilter, which a route names as its answer:
// internal/gatewayapi/filters.go.
var answerRules = rules{
	"directResponse.statusCode":  to("direct_response.status"),
	"directResponse.contentType": to("response_headers_to_add", func(v any) any { return list{overwrite("Content-Type", v)} }),
	"directResponse.header.set":  to("response_headers_to_add", each(overwriteBy)),
	"directResponse.body.type":   only("Inline"),
	"directResponse.body.inline": to("direct_response.body.inline_string"),
}

// byHeaders sorts routes for the same paths: the one that matches more headers comes first
// (internal/gatewayapi/sort.go).
func byHeaders(routes list) list {
	headers := func(route any) int {
		all, _ := route.(object)["match"].(object)["headers"].(list)
		return len(all)
	}
	return slices.SortedStableFunc(slices.Values(routes), func(a, b any) int { return cmp.Compare(headers(b), headers(a)) })
}

// inEnvoy is Envoy's word for one of Envoy Gateway, which are the same but for their
// case: RejectRequest is REJECT_REQUEST.
func inEnvoy(word any) any {
	return strings.ToUpper(camelCase.ReplaceAllString(word.(string), "${1}_$2"))
}

var camelCase = regexp.MustCompile("([a-z])([A-Z])")

// stringMatch is irStringMatch (internal/gatewayapi/helpers.go) and buildXdsStringMatcher
// (internal/xds/translator/route.go).
func stringMatch(match any) any {
	switch m := match.(object); m["type"] {
	case "RegularExpression":
		return regex(m["value"])
	case nil:
		return object{"exact": m["value"]}
	default:
		return object{strings.ToLower(m["type"].(string)): m["value"]}
	}
}

func headerMatch(match any) any {
	return object{"name": match.(object)["name"], "string_match": stringMatch(match)}
}

func overwriteBy(of any) any { return overwrite(of.(object)["name"], of.(object)["value"]) }

func removal(name any) any { return object{"remove": name} }

func removalOnMatch(match any) any {
	return object{"remove_on_match": object{"key_matcher": stringMatch(match)}}
}

// commas puts commas between words.
func commas(words any) any {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(words), "[]"), " ", ",")
}

func exactName(name any) any { return object{"exact": name, "ignore_case": true} }
