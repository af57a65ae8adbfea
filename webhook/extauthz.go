// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"net/http"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"k8s.io/utils/clock"
)

// extAuthzEndpoint is the name of the gRPC service in metrics and logs.
const extAuthzEndpoint = "envoy_grpc"

// What is wrong with a CheckRequest.
const (
	noHTTPRequest = "the gateway sent no HTTP request: use ext_authz as an HTTP filter"
	splitTarget   = "the gateway sent the query or fragment apart from the path, or a pseudo-header that contradicts them"
)

// The names of the dynamic metadata, which Envoy keeps under the name of its filter,
// envoy.filters.http.ext_authz: for access logs, and for rate limits by key or by
// organization. Refusals have the reason only.
const (
	metadataOrganization = "organization"
	metadataKeyID        = "key_id"
	metadataKeyName      = "key_name"
	metadataReason       = "reason"
)

// extAuthz is Envoy's authorization service.
//
// A refusal, and the 503 of a replica that cannot decide, are denied_responses with
// a status of their own. An error, or an error_response, would leave the answer to
// the gateway: with failure_mode_allow it lets the request through.
//
// No CheckResponse leaves without a status: its zero value is OK.
type extAuthz struct {
	decider   *decider
	identity  identity
	protected []string
	sanitizer *headerSanitizer
	metrics   *endpointMetrics
	clock     clock.PassiveClock
}

// Check implements envoy.service.auth.v3.Authorization. It returns no error.
func (e *extAuthz) Check(ctx context.Context, request *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	start := e.clock.Now()
	attributes := request.GetAttributes().GetRequest().GetHttp()
	header := attributeHeader(attributes)
	c := readAttributes(attributes, header, e.protected)
	d := e.decider.decide(ctx, header, &c)
	e.metrics.countCall(ctx, &d, start)
	e.metrics.observe(d.reason, e.clock.Since(start))

	if d.reason != Allowed {
		e.metrics.refused(d.reason, &c)
		return denied(header, d.reason, d.detail), nil
	}
	return e.allowed(header, &d), nil
}

// readAttributes reads the request's attributes from Envoy's.
func readAttributes(attributes *authv3.AttributeContext_HttpRequest, header http.Header, protected []string) requestAttributes {
	if attributes == nil {
		return requestAttributes{refusal: BadGatewayRequest, detail: noHTTPRequest}
	}
	// Envoy leaves both empty: the path is the whole target.
	if attributes.GetQuery() != "" || attributes.GetFragment() != "" ||
		contradicts(header[":path"], attributes.GetPath()) || contradicts(header[":method"], attributes.GetMethod()) {
		return requestAttributes{refusal: BadGatewayRequest, detail: splitTarget}
	}
	if anyLooksLike(header, protected) {
		return requestAttributes{refusal: AmbiguousHeaders}
	}
	return attributesOf(header, attributes.GetMethod(), attributes.GetPath())
}

// contradicts reports whether any of the values is another.
func contradicts(values []string, value string) bool {
	for _, v := range values {
		if v != value {
			return true
		}
	}
	return false
}

// attributeHeader collects the request's headers. Envoy joins those of one name with
// commas, or, with encode_raw_headers, sends each. Names that differ in case only are
// one here, as everywhere.
func attributeHeader(attributes *authv3.AttributeContext_HttpRequest) http.Header {
	joined, each := attributes.GetHeaders(), attributes.GetHeaderMap().GetHeaders()
	header := make(http.Header, len(joined)+len(each))
	for name, value := range joined {
		add(header, name, value)
	}
	for _, field := range each {
		value := field.GetValue()
		if raw := field.GetRawValue(); len(raw) > 0 {
			value = string(raw)
		}
		add(header, field.GetKey(), value)
	}
	return header
}

func add(header http.Header, name, value string) {
	if !strings.HasPrefix(name, ":") {
		name = http.CanonicalHeaderKey(name)
	}
	header[name] = append(header[name], value)
}

// allowed is the answer that lets a request through.
func (e *extAuthz) allowed(header http.Header, d *decision) *authv3.CheckResponse {
	answer := make(http.Header, 3)
	e.identity.set(answer, &d.grant)
	overwritten := make([]*corev3.HeaderValueOption, 0, len(answer))
	for name, values := range answer {
		overwritten = append(overwritten, overwrite(name, values[0]))
	}
	return &authv3.CheckResponse{
		Status: &rpcstatus.Status{Code: grpcOK},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
			Headers:         overwritten,
			HeadersToRemove: e.sanitizer.toRemove(header),
		}},
		DynamicMetadata: dynamicMetadata(
			[2]string{metadataOrganization, answer.Get(e.identity.organization)},
			[2]string{metadataKeyID, answer.Get(keyIDHeader)},
			[2]string{metadataKeyName, answer.Get(keyNameHeader)},
		),
	}
}

// denied is the answer that refuses a request with this header.
//
// Envoy sends a gRPC client a status that it makes of the HTTP status, with the body
// as the message. A Content-Type of ours would take the place of application/grpc
// there, and the client could read neither.
func denied(header http.Header, reason Reason, detail string) *authv3.CheckResponse {
	status, forGRPC := reason.Status(), isGRPCType(header.Get(contentTypeHeader))
	response := &authv3.DeniedHttpResponse{Status: &typev3.HttpStatus{Code: typev3.StatusCode(status)}}
	if forGRPC {
		response.Body = grpcMessage(reason, detail)
	} else {
		response.Body = string(reason.body(detail))
	}
	for _, field := range reason.headers() {
		if !forGRPC || field[0] != contentTypeHeader {
			response.Headers = append(response.Headers, overwrite(field[0], field[1]))
		}
	}
	return &authv3.CheckResponse{
		Status:          &rpcstatus.Status{Code: int32(grpcCode(status))},
		HttpResponse:    &authv3.CheckResponse_DeniedResponse{DeniedResponse: response},
		DynamicMetadata: dynamicMetadata([2]string{metadataReason, reason.String()}),
	}
}

// overwrite has Envoy replace what a client sent under the name. The action has to be
// set: its zero value appends. The older field "append" must stay unset, or Envoy applies
// that.
func overwrite(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: strings.ToLower(name), Value: value},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

func dynamicMetadata(pairs ...[2]string) *structpb.Struct {
	fields := make(map[string]*structpb.Value, len(pairs))
	for _, pair := range pairs {
		fields[pair[0]] = structpb.NewStringValue(pair[1])
	}
	return &structpb.Struct{Fields: fields}
}
