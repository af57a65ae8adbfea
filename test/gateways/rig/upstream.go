// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	metrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
)

const (
	// MarkHeader tells requests from each other: a client gives each its own.
	MarkHeader = "X-Rig-Mark"
	// AnswerHeader has the upstream answer with this status.
	AnswerHeader = "X-Rig-Answer"
)

// Arrival is a request as it reached the upstream.
type Arrival struct {
	Method string
	// Target is the one on the wire.
	Target string
	Host   string
	Header http.Header
	// Trailer is what came after the body.
	Trailer http.Header
	Body    string
	Major   int
}

// Upstream stands for the Hexcovery API: it takes HTTP/1.1, HTTP/2 without TLS, and
// OTLP over gRPC at one address.
type Upstream struct {
	// Address is its host:port.
	Address string

	mu       sync.Mutex
	arrivals map[string][]*Arrival
}

// StartUpstream serves until the test ends.
func StartUpstream(t testing.TB) *Upstream {
	t.Helper()
	u := &Upstream{arrivals: map[string][]*Arrival{}}
	u.Address = Serve(t.Context(), u)
	return u
}

// Serve serves over HTTP/1.1 and HTTP/2 without TLS, on a free port of loopback, whose
// address it returns. When ctx is done it cuts every connection.
func Serve(ctx context.Context, handler http.Handler) (address string) {
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	context.AfterFunc(ctx, func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.Listener.Addr().String()
}

// Arrivals returns what came with the mark, since it was asked last.
func (u *Upstream) Arrivals(mark string) []*Arrival {
	u.mu.Lock()
	defer u.mu.Unlock()
	arrivals := u.arrivals[mark]
	delete(u.arrivals, mark)
	return arrivals
}

// export takes a batch over gRPC.
var export = connect.NewUnaryHandlerSimple(metrics.MetricsService_Export_FullMethodName,
	func(context.Context, *metrics.ExportMetricsServiceRequest) (*metrics.ExportMetricsServiceResponse, error) {
		return &metrics.ExportMetricsServiceResponse{}, nil
	})

// ServeHTTP takes note, and then answers.
func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &Arrival{Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header.Clone(), Major: r.ProtoMajor}
	u.mu.Lock()
	mark := r.Header.Get(MarkHeader)
	u.arrivals[mark] = append(u.arrivals[mark], a)
	u.mu.Unlock()

	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		export.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	u.mu.Lock()
	a.Body, a.Trailer = string(body), r.Trailer.Clone()
	u.mu.Unlock()
	if err != nil {
		return // nobody is there to be answered
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("WWW-Authenticate", "Upstream")
	status, _ := strconv.Atoi(r.Header.Get(AnswerHeader))
	status = cmp.Or(status, http.StatusOK)
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "upstream says "+strconv.Itoa(status))
}
