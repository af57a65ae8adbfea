// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
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

func newAuthority(c *config, options Options, connection *grpc.ClientConn) *authority {
	// It does not redirect, and so does not follow: http.Transport, not http.Client.
	t := transport()
	t.Protocols.SetHTTP1(true)
	t.DisableKeepAlives = true
	return &authority{config: c.authz, address: options.AuthServer, http: t, grpc: authv3.NewAuthorizationClient(connection)}
}

// verdict is what comes of the question: a refusal, or changes to the request.
type verdict struct {
	refusal *localReply
	set     []*corev3.HeaderValueOption
	remove  []string
}

func (v *verdict) changes() bool { return len(v.set)+len(v.remove) > 0 }

// apply is the OK case of Filter::onComplete,
// source/extensions/filters/http/ext_authz/ext_authz.cc: set, then remove; nothing
// removes a pseudo header or Host.
func (v *verdict) apply(h header) {
	for _, option := range v.set {
		h.option(option, option.GetHeader().GetValue())
	}
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
	code := int(a.config.GetStatusOnError().GetCode())
	if code == 0 {
		code = http.StatusForbidden
	}
	return verdict{refusal: &localReply{status: code, flag: unauthorized}}
}

// all returns the headers as Envoy's header map has them, with the pseudo headers.
func (q *request) all() header {
	h := header{":method": {q.Method}, ":path": {q.target}, ":authority": {q.Host}, ":scheme": {"http"}}
	maps.Copy(h, q.header)
	return h
}

// attributes is CheckRequestUtils::setHttpRequest, check_request_utils.cc.
func (a *authority) attributes(q *request) *authv3.AttributeContext_HttpRequest {
	attributes := &authv3.AttributeContext_HttpRequest{
		Id: "1", Method: q.Method, Path: q.target, Host: q.Host, Scheme: "http", Size: q.ContentLength, Protocol: q.Proto,
	}
	raw := a.config.GetEncodeRawHeaders()
	if raw {
		attributes.HeaderMap = &corev3.HeaderMap{}
	} else {
		attributes.Headers = map[string]string{}
	}
	all := q.all()
	for _, name := range all.names() {
		if allowed := a.allowedHeaders(); allowed != nil && !matches(allowed, name) {
			continue
		}
		if !raw {
			attributes.Headers[name] = strings.ToValidUTF8(strings.Join(all[name], ","), "!")
			continue
		}
		for _, value := range all[name] {
			attributes.HeaderMap.Headers = append(attributes.HeaderMap.Headers, &corev3.HeaderValue{Key: name, RawValue: []byte(value)})
		}
	}
	return attributes
}

// allowedHeaders is CheckRequestUtils::toRequestMatchers: over HTTP these four are sent
// in any case, and, without a list, nothing else; over gRPC no list is every header.
func (a *authority) allowedHeaders() *matcherv3.ListStringMatcher {
	list := a.config.GetAllowedHeaders()
	if a.config.GetHttpService() == nil {
		return list
	}
	with := &matcherv3.ListStringMatcher{Patterns: slices.Clone(list.GetPatterns())}
	for _, name := range []string{"authorization", ":method", ":path", ":authority"} {
		with.Patterns = append(with.Patterns, &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: name}})
	}
	return with
}

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
		if status.Code(err) == codes.Unavailable && slices.ContainsFunc(strings.Split(retry.GetRetryOn(), ","), onBrokenConnection) {
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
	reply := &localReply{status: int(denied.GetStatus().GetCode()), flag: unauthorized, body: denied.GetBody(), header: header{}}
	if reply.status == 0 {
		reply.status = http.StatusForbidden
	}
	for _, option := range denied.GetHeaders() {
		reply.header.option(option, option.GetHeader().GetValue())
	}
	return verdict{refusal: reply}
}

// onBrokenConnection is whether a trigger of retries is one.
func onBrokenConnection(trigger string) bool {
	return slices.Contains([]string{"unavailable", "connect-failure", "reset-before-request"}, trigger)
}

// checkHTTP is RawHttpClientImpl, ext_authz_http_impl.cc.
func (a *authority) checkHTTP(q *request) verdict {
	service := a.config.GetHttpService()
	ctx, cancel := context.WithTimeout(q.Context(), service.GetServerUri().GetTimeout().AsDuration())
	defer cancel()
	out := &http.Request{Header: http.Header{}, ContentLength: 0, URL: &url.URL{Scheme: "http", Host: a.address}}
	sent := a.attributes(q)
	pairs := sent.GetHeaderMap().GetHeaders()
	for name, value := range sent.GetHeaders() {
		pairs = append(pairs, &corev3.HeaderValue{Key: name, RawValue: []byte(value)})
	}
	for _, pair := range pairs {
		switch value := string(pair.GetRawValue()); pair.GetKey() {
		case ":method":
			out.Method = value
		case ":path":
			out.URL.Opaque = service.GetPathPrefix() + value
		case ":authority":
			out.Host = value
		case "content-length":
		default:
			out.Header.Add(pair.GetKey(), value)
		}
	}
	out.Header["User-Agent"] = nil
	response, err := a.http.RoundTrip(out.WithContext(ctx))
	if err != nil {
		return a.failed()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return a.failed()
	}
	return a.judge(response.StatusCode, lower(response.Header), string(body))
}

// removeHeader is where an answer over HTTP says what to remove.
const removeHeader = "x-envoy-auth-headers-to-remove"

// judge is RawHttpClientImpl::toResponse.
func (a *authority) judge(code int, h header, body string) verdict {
	if code >= http.StatusInternalServerError {
		return a.failed()
	}
	settings := a.config.GetHttpService().GetAuthorizationResponse()
	if code != http.StatusOK {
		// Without a list everything but Host goes to the client.
		list := settings.GetAllowedClientHeaders()
		for name := range h {
			if len(list.GetPatterns()) > 0 && !matches(list, name) && name != "www-authenticate" && name != "location" {
				delete(h, name)
			}
		}
		return verdict{refusal: &localReply{status: code, flag: unauthorized, body: body, header: h}}
	}
	var v verdict
	for _, names := range h[removeHeader] {
		for name := range strings.SplitSeq(names, ",") {
			v.remove = append(v.remove, strings.TrimSpace(name))
		}
	}
	delete(h, removeHeader)
	for _, name := range h.names() {
		for _, value := range h[name] {
			if matches(settings.GetAllowedUpstreamHeaders(), name) {
				v.set = append(v.set, &corev3.HeaderValueOption{
					Header:       &corev3.HeaderValue{Key: name, Value: value},
					AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
				})
			}
		}
	}
	return v
}
