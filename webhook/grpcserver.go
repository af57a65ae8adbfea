// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"connectrpc.com/connect"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/go-logr/logr"
	"google.golang.org/grpc/health/grpc_health_v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/internal/serving"
)

const (
	// maxCheckBytes bounds a CheckRequest. Envoy takes 60 KiB of headers by default
	// (max_request_headers_kb), sends no body unless with_request_body says so, and
	// there is no need for it to.
	maxCheckBytes = 128 << 10
	// maxWatches bounds the health watches of all connections. Each gateway needs one.
	maxWatches = 256
	// connectionAge is after what time a gateway is asked to connect anew, give or take a
	// tenth, so that those that came while a replica was down find their way to it.
	connectionAge = 30 * time.Minute
)

// checks serves Envoy's gRPC service, and the health service, which says whether this
// replica decides. net/http has the connections, as everywhere: what a gRPC
// server of its own holds for a client that sends a message byte by byte is without a bound
// that counts.
type checks struct {
	// calls are those that are answered at once, by their path.
	calls map[string]http.Handler
	watch http.Handler
	// other answers what is no call.
	other http.Handler
	// watching has room for as many watches as there may be.
	watching chan struct{}
}

func newChecks(service *extAuthz, health *health, log logr.Logger) *checks {
	options := connect.WithHandlerOptions(
		connect.WithReadMaxBytes(maxCheckBytes),
		connect.WithCompression("gzip", nil, nil), // gateways send none, and a little of it is much
		connect.WithRecover(recovering(log)),
	)
	const check, healthCheck, healthWatch = authv3.Authorization_Check_FullMethodName, grpc_health_v1.Health_Check_FullMethodName, grpc_health_v1.Health_Watch_FullMethodName
	return &checks{
		calls: map[string]http.Handler{
			check:       connect.NewUnaryHandlerSimple(check, service.Check, options),
			healthCheck: connect.NewUnaryHandlerSimple(healthCheck, health.Check, options),
		},
		other: serving.IgnoreBody(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "this port serves gRPC only", http.StatusUnsupportedMediaType)
		}), health.clock),
		watch:    connect.NewServerStreamHandlerSimple(healthWatch, health.Watch, options),
		watching: make(chan struct{}, maxWatches),
	}
}

// serve answers one call.
func (c *checks) serve(w http.ResponseWriter, r *http.Request, request *serving.Request) {
	call, ok := c.calls[r.URL.Path]
	switch {
	case !isGRPC(r):
		c.other.ServeHTTP(w, r)
	case ok:
		call.ServeHTTP(w, r)
	case r.URL.Path == grpc_health_v1.Health_Watch_FullMethodName:
		c.serveWatch(w, r, request)
	default:
		writeCode(w, connect.CodeUnimplemented, "unknown method")
	}
}

// serveWatch serves a watch, which lasts, if there is room for one more.
func (c *checks) serveWatch(w http.ResponseWriter, r *http.Request, request *serving.Request) {
	select {
	case c.watching <- struct{}{}:
		defer func() { <-c.watching }()
	default:
		writeCode(w, connect.CodeResourceExhausted, "too many watches: ask once a connection, or use Check")
		return
	}
	lasts := func() error {
		request.LetIn()
		controller := http.NewResponseController(w)
		return errors.Join(controller.SetReadDeadline(time.Time{}), controller.SetWriteDeadline(time.Time{}))
	}
	c.watch.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), lastsKey{}, lasts)))
}

// lastsKey is where the context of a watch holds what lifts its deadlines, once its message
// was read.
type lastsKey struct{}

func writeCode(w http.ResponseWriter, code connect.Code, message string) {
	w.Header().Set(contentTypeHeader, grpcType)
	w.Header().Set("Grpc-Status", strconv.Itoa(int(code)))
	w.Header().Set("Grpc-Message", message)
	w.WriteHeader(http.StatusOK)
}

// recovering turns a panic into an error. The value of a panic may hold what a client sent,
// so it is not logged.
func recovering(log logr.Logger) func(context.Context, connect.Spec, http.Header, any) error {
	return func(_ context.Context, spec connect.Spec, _ http.Header, _ any) error {
		log.Info("a call panicked", "method", spec.Procedure, "stack", string(debug.Stack()))
		return connect.NewError(connect.CodeInternal, errors.New("the call failed"))
	}
}

// leaveKey is where the context of a connection holds when it is to be closed.
type leaveKey struct{}

// aging closes connections after connectionAge, gracefully.
func aging(l *listener, c clock.PassiveClock) {
	remember := l.server.ConnContext
	l.server.ConnContext = func(ctx context.Context, connection net.Conn) context.Context {
		leave := c.Now().Add(wait.Jitter(connectionAge*9/10, 0.2))
		return context.WithValue(remember(ctx, connection), leaveKey{}, leave)
	}
	serve := l.server.Handler
	l.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if leave, ok := r.Context().Value(leaveKey{}).(time.Time); ok && c.Now().After(leave) {
			w.Header().Set("Connection", "close") // net/http turns this into a GOAWAY
		}
		serve.ServeHTTP(w, r)
	})
}
