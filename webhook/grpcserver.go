// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

const (
	// maxCheckBytes bounds a CheckRequest. Envoy takes 60 KiB of headers by default
	// (max_request_headers_kb), sends no body unless with_request_body says so, and
	// there is no need for it to.
	maxCheckBytes = 128 << 10
	// maxChecks bounds the questions in flight on one connection. A decision takes
	// microseconds, so this many are never waiting but in an attack.
	maxChecks = 1000
	// minPingInterval is how often gateways may ask whether the connection is alive.
	minPingInterval = 10 * time.Second
)

// grpcListener serves Envoy's gRPC service, and the health service that tells Envoy
// and others whether this replica decides.
type grpcListener struct {
	net    net.Listener
	server *grpc.Server
}

// newGRPCListener serves with TLS if credentials are given.
func newGRPCListener(l net.Listener, service *extAuthz, health grpc_health_v1.HealthServer, transport credentials.TransportCredentials, log logr.Logger) *grpcListener {
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxCheckBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(maxChecks),
		grpc.ConnectionTimeout(readHeaderTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPingInterval, PermitWithoutStream: true}),
		// A gateway that has vanished is not kept.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: clientIdleTimeout}),
		grpc.WaitForHandlers(true),
		grpc.UnaryInterceptor(recovering(log)),
	}
	if transport != nil {
		options = append(options, grpc.Creds(transport))
	}
	server := grpc.NewServer(options...)
	authv3.RegisterAuthorizationServer(server, service)
	grpc_health_v1.RegisterHealthServer(server, health)
	return &grpcListener{net: l, server: server}
}

// recovering turns a panic into an error, as net/http does, so that one request cannot
// end the service of all. The value of a panic may hold what a client sent, so it is
// not logged.
func recovering(log logr.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (_ any, err error) {
		defer func() {
			if recover() != nil {
				log.Info("a call panicked", "method", info.FullMethod, "stack", string(debug.Stack()))
				err = status.Error(codes.Internal, "the call failed")
			}
		}()
		return handler(ctx, request)
	}
}

func (l *grpcListener) name() string      { return "grpc" }
func (l *grpcListener) address() net.Addr { return l.net.Addr() }

// serve blocks until the listener is shut down, which is no error.
func (l *grpcListener) serve() error {
	if err := l.server.Serve(l.net); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve %s: %w", l.name(), err)
	}
	return nil
}

// shutdown tells gateways to go elsewhere, waits for the calls in flight, and cuts off
// those that are still there when ctx is done.
func (l *grpcListener) shutdown(ctx context.Context) error {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		l.server.GracefulStop()
	}()
	select {
	case <-stopped:
		return nil
	case <-ctx.Done():
		l.server.Stop()
		<-stopped
		return fmt.Errorf("shut down %s: calls were cut off: %w", l.name(), ctx.Err())
	}
}
