// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// gRPC's media type: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
const grpcType = "application/grpc"

// The gRPC status codes that answers have:
// https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
const (
	grpcOK               = 0
	grpcPermissionDenied = 7
	grpcUnavailable      = 14
	grpcUnauthenticated  = 16
)

// isGRPC reports whether a request is a gRPC call. gRPC-Web is not: it has its own
// framing, and its clients understand plain HTTP statuses.
func isGRPC(r *http.Request) bool {
	if r.ProtoMajor != 2 {
		return false
	}
	return isGRPCType(r.Header.Get(contentTypeHeader))
}

func isGRPCType(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && (mediaType == grpcType || strings.HasPrefix(mediaType, grpcType+"+"))
}

// writeStatus refuses a gRPC call with what the specification calls Trailers-Only:
// a header that ends the stream. Clients map plain HTTP statuses to the same codes,
// but would keep the detail, which says what to do, from whoever reads their error.
//
// Its HTTP status is 200, as the specification demands, and older clients ignore any
// other. So only the proxy answers like this: for a gateway 200 allows.
func writeStatus(w http.ResponseWriter, reason Reason, detail string) {
	header := w.Header()
	header.Set(contentTypeHeader, grpcType)
	header.Set("Cache-Control", "no-store")
	header.Set("Grpc-Status", strconv.Itoa(grpcCode(reason.Status())))
	header.Set("Grpc-Message", url.PathEscape(grpcMessage(reason, detail)))
	w.WriteHeader(http.StatusOK)
}

// grpcMessage is what a gRPC client's error says.
func grpcMessage(reason Reason, detail string) string {
	o := reason.outcome()
	if detail == "" {
		detail = o.detail
	}
	return detail + " (" + o.name + ")"
}

// grpcCode maps as gRPC clients do:
// https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
func grpcCode(status int) int {
	switch status {
	case http.StatusUnauthorized:
		return grpcUnauthenticated
	case http.StatusForbidden:
		return grpcPermissionDenied
	default: // 502 and 503, which clients retry
		return grpcUnavailable
	}
}
