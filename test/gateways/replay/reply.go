// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/grpc/codes"
)

// localReply is an answer that Envoy gives by itself.
type localReply struct {
	status int
	// flag is the response flag, as access logs have it.
	flag   string
	body   string
	header http.Header
}

// unauthorized is the flag of what ext_authz refuses, also by an error.
const unauthorized = "UAEX"

// write is Http::Utility::prepareLocalReply, source/common/http/utility.cc: the mapper
// first, then, for a client of gRPC, all of it as a status.
func (l localReply) write(w http.ResponseWriter, config *hcmv3.LocalReplyConfig, forGRPC bool) {
	h, contentType := w.Header(), "text/plain"
	maps.Copy(h, l.header)
	for _, mapper := range config.GetMappers() {
		if !l.selected(mapper.GetFilter()) {
			continue
		}
		if status := mapper.GetStatusCode(); status != nil {
			l.status = int(status.GetValue())
		}
		apply(h, mapper.GetHeadersToAdd())
		if override := mapper.GetBodyFormatOverride(); override != nil {
			l.body, contentType = override.GetTextFormatSource().GetInlineString(), override.GetContentType()
		}
		break
	}
	delete(h, ":status")
	if forGRPC {
		h.Del("Content-Length")
		h.Set("Content-Type", "application/grpc")
		h.Set("Grpc-Status", strconv.Itoa(int(cmp.Or(grpcStatus[l.status], codes.Unknown))))
		if l.body != "" {
			h.Set("Grpc-Message", url.PathEscape(l.body))
		}
		w.WriteHeader(http.StatusOK)
		return
	}
	switch {
	case l.body == "":
		h.Del("Content-Type")
	case h["Content-Type"] == nil:
		h.Set("Content-Type", contentType)
	}
	h.Set("Content-Length", strconv.Itoa(len(l.body)))
	w.WriteHeader(l.status)
	_, _ = io.WriteString(w, l.body) // whoever has gone away needs no answer
}

// selected evaluates the filter of a mapper: source/common/access_log/access_log_impl.cc.
func (l localReply) selected(filter *accesslogv3.AccessLogFilter) bool {
	switch f := filter.GetFilterSpecifier().(type) {
	case *accesslogv3.AccessLogFilter_AndFilter:
		return !slices.ContainsFunc(f.AndFilter.GetFilters(), func(f *accesslogv3.AccessLogFilter) bool { return !l.selected(f) })
	case *accesslogv3.AccessLogFilter_StatusCodeFilter:
		comparison := f.StatusCodeFilter.GetComparison()
		if op := comparison.GetOp(); op == accesslogv3.ComparisonFilter_EQ || op == accesslogv3.ComparisonFilter_NE {
			return (l.status == int(comparison.GetValue().GetDefaultValue())) == (op == accesslogv3.ComparisonFilter_EQ)
		}
	case *accesslogv3.AccessLogFilter_ResponseFlagFilter:
		return slices.Contains(f.ResponseFlagFilter.GetFlags(), l.flag)
	}
	panic(fmt.Sprintf("a replay does not know the filter %v", filter))
}

// grpcStatus is Grpc::Utility::httpToGrpcStatus, source/common/grpc/status.cc, for what
// is not UNKNOWN.
var grpcStatus = map[int]codes.Code{
	http.StatusBadRequest: codes.Internal, http.StatusUnauthorized: codes.Unauthenticated, http.StatusForbidden: codes.PermissionDenied,
	http.StatusNotFound: codes.Unimplemented, http.StatusTooManyRequests: codes.Unavailable, http.StatusBadGateway: codes.Unavailable,
	http.StatusServiceUnavailable: codes.Unavailable, http.StatusGatewayTimeout: codes.Unavailable,
}
