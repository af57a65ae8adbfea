// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

// meshMutants are those of Istio and of Envoy Gateway.
func meshMutants() []mutant {
	const (
		mesh, service, filter   = "meshconfig.yaml", "virtualservice.yaml", "envoyfilter.yaml"
		listener, route         = "gateway.yaml", "httproute.yaml"
		overHTTP, overGRPC      = "securitypolicy-http.yaml", "securitypolicy-grpc.yaml"
		lookAlikes, folds, none = "nor do they under look-alike names", `"x.*[^a-z0-9-].*"`, `"x-nobody"`
	)
	return []mutant{
		one("istio-http", "does not send the key", mesh, "    - x-api-key\n    - x-api*\n", "", goodKey),
		one("istio-http", "takes no organization from the answer", mesh, "    headersToUpstreamOnAllow:\n    - x-scope-orgid\n", "    headersToUpstreamOnAllow:\n", goodKey),
		one("istio-http", "asks elsewhere", mesh, "pathPrefix: /auth/envoy", "pathPrefix: /auth", goodKey),
		one("istio-http", "keeps slashes", mesh, "normalization: MERGE_SLASHES", "normalization: BASE", plainHTTP2),
		one("istio-grpc", "waits too long", mesh, "    # The default is 600s.\n    timeout: 1s\n", "", hanging),
		one("istio-http", "needs no identity", service, "      headers:\n        x-scope-orgid: {regex: \".+\"}\n        x-api-key-id: {regex: \".+\"}\n        x-api-key-name: {regex: \".+\"}\n", "", elsewhere),
		one("istio-http", "lets answers be cached", service, "      response:\n        set: {cache-control: no-store}\n", "", uncached),
		one("istio-grpc", "keeps the first route", filter, "clear_route_cache: true", "clear_route_cache: false", goodKey),
		one("istio-http", "passes look-alikes on", filter, folds, none, lookAlikes),
		one("istio-http", "opens WebSockets", filter, "{exact: websocket, ignore_case: true}", "{exact: nobody}", protocols),
		one("istio-http", "passes on what is no answer", filter, "status_code: 503", "status_code: 201", elsewhere),
		one("istio-http", "adds to what a client says of its address", filter, "              - remove: x-forwarded-for\n", "", deceiving),
		one("istio-http", "believes a client where the answer says nothing", filter, "              - remove: x-scope-orgid\n              - remove: x-api-key-id\n              - remove: x-api-key-name\n", "", elsewhere),

		one("eg-http", "does not send the key", overHTTP, "    headersToExtAuth:\n    - X-API-Key\n", "    headersToExtAuth:\n", goodKey),
		one("eg-http", "takes no organization from the answer", overHTTP, "      headersToBackend:\n      - X-Scope-OrgID\n", "      headersToBackend:\n", goodKey),
		one("eg-grpc", "sends the key only", overGRPC, "    timeout: 1s\n", "    timeout: 1s\n    headersToExtAuth: [X-API-Key]\n", session),
		one("eg-grpc", "keeps the first route", overGRPC, "recomputeRoute: true", "recomputeRoute: false", goodKey),
		one("eg-http", "lets answers be cached", route, "    - type: ResponseHeaderModifier\n      responseHeaderModifier:\n        set:\n        - {name: Cache-Control, value: no-store}\n", "", uncached),
		one("eg-http", "passes look-alikes on", listener, folds, none, lookAlikes),
		one("eg-http", "opens WebSockets", listener, `"(?i)websocket"`, `"nobody"`, protocols),
		one("eg-http", "shows what is for gateways", listener, "remove: [X-Auth-Problem]", "remove: [X-Nobody]", unknownKey),
		one("eg-http", "adds to what a client says of its address", listener, "      - X-Forwarded-For\n", "", deceiving),
	}
}

// replayMutants are those of the replays, and of ingress-nginx. Where a file guards
// against something in two ways, both are taken out.
func replayMutants() []mutant {
	const (
		overGRPC, overHTTP = "envoy-grpc.yaml", "envoy-http.yaml"
		dynamic            = "dynamic.yaml"
		controller, object = "controller-configmap.yaml", "ingress.yaml"
		lookAlikes         = "nor do they under look-alike names"
	)
	identityRoute := edit{overHTTP, `                  headers:
                  - {name: x-scope-orgid, string_match: {safe_regex: {regex: ".+"}}}
                  - {name: x-api-key-id, string_match: {safe_regex: {regex: ".+"}}}
                  - {name: x-api-key-name, string_match: {safe_regex: {regex: ".+"}}}
`, ""}
	return []mutant{
		one("envoy-grpc", "fails with 403", overGRPC, "{code: ServiceUnavailable}", "{code: Forbidden}", "no auth server: 503"),
		one("envoy-grpc", "removes the identity", overGRPC, "              - x-api-key\n", "              - x-api-key\n              - x-scope-orgid\n", goodKey),
		one("envoy-grpc", "keeps the first route", overGRPC, "clear_route_cache: true", "clear_route_cache: false", goodKey),
		one("envoy-grpc", "waits too long", overGRPC, "                timeout: 1s\n                # A connection", "                timeout: 20s\n                # A connection", hanging),
		one("envoy-grpc", "adds to what a client says of its address", overGRPC, "              request_headers_to_add:\n              - header: {key: x-forwarded-for,", "              request_headers_to_add:\n              - header: {key: x-nobody,", deceiving),
		one("envoy-grpc", "lets answers be cached", overGRPC, "              response_headers_to_add:\n              - header: {key: cache-control,", "              response_headers_to_add:\n              - header: {key: x-nobody,", uncached),
		one("envoy-http", "does not send the key", overHTTP, "                - {exact: x-api-key, ignore_case: true}\n                - {exact: authorization, ignore_case: true}\n                - {exact: proxy-authorization, ignore_case: true}\n                - safe_regex: {regex: \"(?i)x[^a-z0-9]api[^a-z0-9]key([^a-z0-9](id|name))?\"}\n", "", goodKey),
		one("envoy-http", "does not send look-alikes", overHTTP, "                - safe_regex: {regex: \"(?i)x[^a-z0-9]scope[^a-z0-9]orgid\"}\n", "", lookAlikes),
		one("envoy-http", "takes no name from the answer", overHTTP, "                  allowed_upstream_headers:\n                    patterns:\n                    - {exact: x-scope-orgid, ignore_case: true}\n", "                  allowed_upstream_headers:\n                    patterns:\n", goodKey),
		one("envoy-http", "asks elsewhere", overHTTP, "path_prefix: /auth/envoy", "path_prefix: /auth", goodKey),
		one("envoy-http", "believes a client where the answer says nothing", overHTTP, "              - remove: x-scope-orgid\n              - remove: x-api-key-id\n              - remove: x-api-key-name\n", "", elsewhere),
		{"envoy-http", "lets in when nobody answers", []edit{identityRoute, {overHTTP, "failure_mode_allow: false", "failure_mode_allow: true"}}, "no auth server: 503"},
		{"envoy-http", "needs no identity", []edit{identityRoute}, elsewhere},

		one("traefik", "does not ask", dynamic, "      - hexcovery-auth\n", "", noKey),
		one("traefik", "drops the key too early", dynamic, "      - hexcovery-auth\n      - hexcovery-drop\n", "      - hexcovery-drop\n      - hexcovery-auth\n", goodKey),
		one("traefik", "sends the key on", dynamic, "          X-API-Key: \"\"\n", "", goodKey),
		one("traefik", "takes no key ID from the answer", dynamic, "        - X-API-Key-ID\n", "", goodKey),
		one("traefik", "removes the identity", dynamic, "      - hexcovery-untrusted\n      - hexcovery-auth\n", "      - hexcovery-auth\n      - hexcovery-untrusted\n", goodKey),
		one("traefik", "asks elsewhere", dynamic, "/auth/forwarded", "/auth/original", goodKey),
		one("traefik", "asks about the key only", dynamic, "forwardBody: false", "forwardBody: false\n        authRequestHeaders: [X-API-Key]", twoKeys),
		one("traefik", "lets answers be cached", dynamic, "          Cache-Control: no-store\n", "          X-Nobody: x\n", uncached),

		one("ingress-nginx", "sends the key on", controller, "  X-API-Key: \"\"\n", "", goodKey),
		one("ingress-nginx", "leaves 500", controller, "    error_page 500 = @hexcovery_${hexcovery_language}_503;\n", "", blind),
		one("ingress-nginx", "waits too long", controller, "proxy_read_timeout 2s;", "proxy_read_timeout 30s;", hanging),
		one("ingress-nginx", "loses the problem", controller, "return 401 $hexcovery_problem;", "return 401;", unknownKey),
		one("ingress-nginx", "lets answers be cached", controller, "    proxy_hide_header Cache-Control;\n", "", uncached),
		one("ingress-nginx", "hides other protocols from the auth server", object, "  Upgrade: $http_upgrade\n", "", protocols),
		one("ingress-nginx", "reads the body first", object, "proxy-request-buffering: \"off\"\n    # In seconds.", "proxy-request-buffering: \"on\"\n    # In seconds.", "a body is streamed"),
	}
}
