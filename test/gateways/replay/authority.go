// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"cmp"
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// verdict is what comes of the question of ext_authz, whose client is in
// source/extensions/filters/common/ext_authz: a refusal, or changes to the request.
type verdict struct {
	refusal *localReply
	set     []*corev3.HeaderValueOption
	remove  []string
}

// failed is CheckStatus::Error.
func (e *envoy) failed() verdict {
	if e.authz.GetFailureModeAllow() {
		return verdict{}
	}
	code := cmp.Or(int(e.authz.GetStatusOnError().GetCode()), http.StatusForbidden)
	return verdict{refusal: &localReply{status: code, flag: unauthorized}}
}

// sent are the headers that are sent: CheckRequestUtils::toRequestMatchers,
// check_request_utils.cc. Over gRPC no list is every header; over HTTP these four are sent
// in any case, and, without a list, nothing else. Without encode_raw_headers those of one
// name are one, with commas.
func (e *envoy) sent(q *request) http.Header {
	sent := http.Header{":method": {q.Method}, ":path": {q.RequestURI}, ":authority": {q.Host}, ":scheme": {"http"}}
	maps.Copy(sent, q.Header)
	allowed, always := e.authz.GetAllowedHeaders(), []string{}
	if e.authz.GetHttpService() != nil {
		always = []string{"Authorization", ":method", ":path", ":authority"}
	}
	if allowed != nil || len(always) > 0 {
		maps.DeleteFunc(sent, func(name string, _ []string) bool {
			return !named(allowed.GetPatterns(), name) && !slices.Contains(always, name)
		})
	}
	if !e.authz.GetEncodeRawHeaders() {
		for name, values := range sent {
			sent[name] = []string{strings.ToValidUTF8(strings.Join(values, ","), "!")}
		}
	}
	return sent
}

// attributes is CheckRequestUtils::setHttpRequest.
func (e *envoy) attributes(q *request) *authv3.AttributeContext_HttpRequest {
	attributes := &authv3.AttributeContext_HttpRequest{
		Id: "1", Method: q.Method, Path: q.RequestURI, Host: q.Host, Scheme: "http", Size: q.ContentLength, Protocol: q.Proto,
	}
	sent := e.sent(q)
	if !e.authz.GetEncodeRawHeaders() {
		attributes.Headers = map[string]string{}
		for name, values := range sent {
			attributes.Headers[strings.ToLower(name)] = values[0]
		}
		return attributes
	}
	attributes.HeaderMap = &corev3.HeaderMap{}
	for _, name := range slices.Sorted(maps.Keys(sent)) { // so that a replay does the same every time
		for _, value := range sent[name] {
			raw := &corev3.HeaderValue{Key: strings.ToLower(name), RawValue: []byte(value)}
			attributes.HeaderMap.Headers = append(attributes.HeaderMap.Headers, raw)
		}
	}
	return attributes
}

// onBrokenConnection are the triggers of retries that a connection that broke pulls.
var onBrokenConnection = regexp.MustCompile(`\b(unavailable|connect-failure|reset-before-request)\b`)

// checkGRPC is GrpcClientImpl, ext_authz_grpc_impl.cc.
func (e *envoy) checkGRPC(q *request) verdict {
	ctx, cancel := context.WithTimeout(q.Context(), e.authz.GetGrpcService().GetTimeout().AsDuration())
	defer cancel()
	question := &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: e.attributes(q)}}}
	answer, err := e.grpc.Check(ctx, question, grpc.WaitForReady(true))
	// retry_policy of the service: source/common/grpc/async_client_impl.cc. What a broken
	// connection comes to is UNAVAILABLE here, and to Envoy whichever of these it is told.
	retry := e.authz.GetGrpcService().GetRetryPolicy()
	for range retry.GetNumRetries().GetValue() {
		if status.Code(err) == codes.Unavailable && onBrokenConnection.MatchString(retry.GetRetryOn()) {
			answer, err = e.grpc.Check(ctx, question, grpc.WaitForReady(true))
		}
	}
	if err != nil || answer.GetErrorResponse() != nil {
		return e.failed()
	}
	// Without a status this is 0, and that is OK.
	if answer.GetStatus().GetCode() == 0 {
		return verdict{set: answer.GetOkResponse().GetHeaders(), remove: answer.GetOkResponse().GetHeadersToRemove()}
	}
	denied := answer.GetDeniedResponse()
	code := cmp.Or(int(denied.GetStatus().GetCode()), http.StatusForbidden)
	reply := &localReply{status: code, flag: unauthorized, body: denied.GetBody(), header: http.Header{}}
	apply(reply.header, denied.GetHeaders())
	return verdict{refusal: reply}
}

// checkHTTP is RawHttpClientImpl, ext_authz_http_impl.cc.
func (e *envoy) checkHTTP(q *request) verdict {
	service := e.authz.GetHttpService()
	ctx, cancel := context.WithTimeout(q.Context(), service.GetServerUri().GetTimeout().AsDuration())
	defer cancel()
	out := &http.Request{
		Method: q.Method, Host: q.Host, Header: e.sent(q),
		URL: &url.URL{Scheme: "http", Host: e.options.AuthServer, Opaque: service.GetPathPrefix() + q.RequestURI},
	}
	maps.DeleteFunc(out.Header, func(name string, _ []string) bool { return strings.HasPrefix(name, ":") || name == "Content-Length" })
	out.Header["User-Agent"] = nil
	response, err := e.http.RoundTrip(out.WithContext(ctx))
	if err != nil {
		return e.failed()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= http.StatusInternalServerError {
		return e.failed()
	}
	return e.judge(response.StatusCode, response.Header, string(body))
}

// judge is RawHttpClientImpl::toResponse.
func (e *envoy) judge(code int, h http.Header, body string) verdict {
	settings := e.authz.GetHttpService().GetAuthorizationResponse()
	if code != http.StatusOK {
		// Without a list everything but Host goes to the client.
		list := settings.GetAllowedClientHeaders().GetPatterns()
		maps.DeleteFunc(h, func(name string, _ []string) bool {
			return len(list) > 0 && !named(list, name) && name != "Www-Authenticate" && name != "Location"
		})
		return verdict{refusal: &localReply{status: code, flag: unauthorized, body: body, header: h}}
	}
	var v verdict
	for name, values := range h {
		if named(settings.GetAllowedUpstreamHeaders().GetPatterns(), name) {
			v.set = append(v.set, &corev3.HeaderValueOption{
				Header:       &corev3.HeaderValue{Key: name, Value: values[len(values)-1]}, // each takes the place of the one before
				AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
			})
		}
	}
	return v
}
