// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"net/http"
	"strings"
)

// envoyPrefix is where Envoy's ext_authz asks over HTTP, and so do Istio, Envoy
// Gateway and whatever else configures Envoy: with the method of the request, under
// the prefix that its path_prefix names, followed by the request's target.
//
//	POST /v1/metrics  ──►  POST /auth/envoy/v1/metrics
//
// Neither comes in a header, so no client can set it.
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/http/ext_authz/v3/ext_authz.proto
const envoyPrefix = "/auth/envoy"

// envoyEndpoint is the name of that endpoint in metrics and logs.
const envoyEndpoint = "envoy"

// envoyRemoveHeader lists, in an answer over HTTP, the headers that Envoy removes; over
// gRPC there is a field for it.
const envoyRemoveHeader = "X-Envoy-Auth-Headers-To-Remove"

// asksForEnvoy reports whether the target is one below the prefix. The target is the
// one on the wire: what it says after the prefix is what Envoy routes by.
func asksForEnvoy(target string) bool {
	return strings.HasPrefix(target, envoyPrefix+"/")
}

// readEnvoy reads the request's attributes from the request line.
func readEnvoy(r *http.Request, protected []string) requestAttributes {
	if anyLooksLike(r.Header, protected) {
		return requestAttributes{refusal: AmbiguousHeaders}
	}
	return attributesOf(r.Header, r.Method, r.RequestURI[len(envoyPrefix):])
}
