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
	authzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// authority is the client of ext_authz: source/extensions/filters/common/ext_authz.
type authority struct {
	config  *authzv3.ExtAuthz
	address string
	http    *http.Transport
	grpc    authv3.AuthorizationClient
}

func newAuthority(config *authzv3.ExtAuthz, address string, connection *grpc.ClientConn) *authority {
	// It does not redirect, and so does not follow: http.Transport, not http.Client.
	client := transport((*http.Protocols).SetHTTP1)
	client.DisableKeepAlives = true
	return &authority{config: config, address: address, http: client, grpc: authv3.NewAuthorizationClient(connection)}
}

// verdict is what comes of the question: a refusal, or changes to the request.
type verdict struct {
	refusal *localReply
	set     []*corev3.HeaderValueOption
	remove  []string
}

// apply is the OK case of Filter::onComplete,
// source/extensions/filters/http/ext_authz/ext_authz.cc: set, then remove; nothing
// removes a pseudo header or Host.
func (v *verdict) apply(h header) {
	h.apply(v.set)
	for _, name := range v.remove {
		if name = strings.ToLower(name); !strings.HasPrefix(name, ":") && name != "host" {
			delete(h, name)
		}
	}
}

func (a *authority) check(q *request) verdict {
	if a.config.GetGrpcService() != nil {
		return a.checkGRPC(q)
	}
	return a.checkHTTP(q)
}

// failed is CheckStatus::Error.
func (a *authority) failed() verdict {
	if a.config.GetFailureModeAllow() {
		return verdict{}
	}
	code := cmp.Or(int(a.config.GetStatusOnError().GetCode()), http.StatusForbidden)
	return verdict{refusal: &localReply{status: code, flag: unauthorized}}
}

// sent are the headers that are sent: CheckRequestUtils::toRequestMatchers,
// check_request_utils.cc. Over gRPC no list is every header; over HTTP these four are sent
// in any case, and, without a list, nothing else. Without encode_raw_headers those of one
// name are one, with commas.
func (a *authority) sent(q *request) header {
	sent := header{":method": {q.Method}, ":path": {q.target}, ":authority": {q.Host}, ":scheme": {"http"}}
	maps.Copy(sent, q.header)
	allowed, always := a.config.GetAllowedHeaders(), []string{}
	if a.config.GetHttpService() != nil {
		always = []string{"authorization", ":method", ":path", ":authority"}
	}
	if allowed != nil || len(always) > 0 {
		maps.DeleteFunc(sent, func(name string, _ []string) bool {
			return !matches(allowed.GetPatterns(), name) && !slices.Contains(always, name)
		})
	}
	if !a.config.GetEncodeRawHeaders() {
		for name, values := range sent {
			sent[name] = []string{strings.ToValidUTF8(strings.Join(values, ","), "!")}
		}
	}
	return sent
}

// attributes is CheckRequestUtils::setHttpRequest.
func (a *authority) attributes(q *request) *authv3.AttributeContext_HttpRequest {
	attributes := &authv3.AttributeContext_HttpRequest{
		Id: "1", Method: q.Method, Path: q.target, Host: q.Host, Scheme: "http", Size: q.ContentLength, Protocol: q.Proto,
	}
	sent := a.sent(q)
	if !a.config.GetEncodeRawHeaders() {
		attributes.Headers = map[string]string{}
		for name := range sent {
			attributes.Headers[name] = sent.get(name)
		}
		return attributes
	}
	attributes.HeaderMap = &corev3.HeaderMap{}
	for _, name := range sent.names() {
		for _, value := range sent[name] {
			attributes.HeaderMap.Headers = append(attributes.HeaderMap.Headers, &corev3.HeaderValue{Key: name, RawValue: []byte(value)})
		}
	}
	return attributes
}

// onBrokenConnection are the triggers of retries that a connection that broke pulls.
var onBrokenConnection = regexp.MustCompile(`\b(unavailable|connect-failure|reset-before-request)\b`)

// checkGRPC is GrpcClientImpl, ext_authz_grpc_impl.cc.
func (a *authority) checkGRPC(q *request) verdict {
	ctx, cancel := context.WithTimeout(q.Context(), a.config.GetGrpcService().GetTimeout().AsDuration())
	defer cancel()
	question := &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: a.attributes(q)}}}
	answer, err := a.grpc.Check(ctx, question, grpc.WaitForReady(true))
	// retry_policy of the service: source/common/grpc/async_client_impl.cc. What a broken
	// connection comes to is UNAVAILABLE here, and to Envoy whichever of these it is told.
	retry := a.config.GetGrpcService().GetRetryPolicy()
	for range retry.GetNumRetries().GetValue() {
		if status.Code(err) == codes.Unavailable && onBrokenConnection.MatchString(retry.GetRetryOn()) {
			answer, err = a.grpc.Check(ctx, question, grpc.WaitForReady(true))
		}
	}
	if err != nil || answer.GetErrorResponse() != nil {
		return a.failed()
	}
	// Without a status this is 0, and that is OK.
	if answer.GetStatus().GetCode() == 0 {
		return verdict{set: answer.GetOkResponse().GetHeaders(), remove: answer.GetOkResponse().GetHeadersToRemove()}
	}
	denied := answer.GetDeniedResponse()
	code := cmp.Or(int(denied.GetStatus().GetCode()), http.StatusForbidden)
	reply := &localReply{status: code, flag: unauthorized, body: denied.GetBody(), header: header{}}
	reply.header.apply(denied.GetHeaders())
	return verdict{refusal: reply}
}

// checkHTTP is RawHttpClientImpl, ext_authz_http_impl.cc.
func (a *authority) checkHTTP(q *request) verdict {
	service := a.config.GetHttpService()
	ctx, cancel := context.WithTimeout(q.Context(), service.GetServerUri().GetTimeout().AsDuration())
	defer cancel()
	sent := a.sent(q)
	out := &http.Request{
		Method: q.Method, Host: q.Host, Header: http.Header{},
		URL: &url.URL{Scheme: "http", Host: a.address, Opaque: service.GetPathPrefix() + q.target},
	}
	maps.DeleteFunc(sent, func(name string, _ []string) bool { return strings.HasPrefix(name, ":") || name == "content-length" })
	sent.into(out.Header)
	out.Header["User-Agent"] = nil
	response, err := a.http.RoundTrip(out.WithContext(ctx))
	if err != nil {
		return a.failed()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= http.StatusInternalServerError {
		return a.failed()
	}
	return a.judge(response.StatusCode, lower(response.Header), string(body))
}

// judge is RawHttpClientImpl::toResponse.
func (a *authority) judge(code int, h header, body string) verdict {
	settings := a.config.GetHttpService().GetAuthorizationResponse()
	if code != http.StatusOK {
		// Without a list everything but Host goes to the client.
		list := settings.GetAllowedClientHeaders().GetPatterns()
		maps.DeleteFunc(h, func(name string, _ []string) bool {
			return len(list) > 0 && !matches(list, name) && name != "www-authenticate" && name != "location"
		})
		return verdict{refusal: &localReply{status: code, flag: unauthorized, body: body, header: h}}
	}
	var v verdict
	for _, name := range h.names() {
		if matches(settings.GetAllowedUpstreamHeaders().GetPatterns(), name) {
			v.set = append(v.set, &corev3.HeaderValueOption{
				Header:       &corev3.HeaderValue{Key: name, Value: h[name][len(h[name])-1]}, // each takes the place of the one before
				AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
			})
		}
	}
	return v
}
