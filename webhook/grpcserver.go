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
	"google.golang.org/grpc/tap"
)

const (
	// maxCheckBytes bounds a CheckRequest. Envoy takes 60 KiB of headers by default
	// (max_request_headers_kb), sends no body unless with_request_body says so, and
	// there is no need for it to.
	maxCheckBytes = 128 << 10
	// checkWindowBytes is what a connection may send of questions that were not read yet.
	checkWindowBytes = 1 << 20
	// maxChecks bounds the questions in flight on one connection. A decision takes
	// microseconds, so this many are never waiting but in an attack.
	maxChecks = 250
	// checkTimeout bounds a question: the message may take its time after the headers of the call.
	checkTimeout = exchangeTimeout
	// maxWatches bounds the health watches of all connections. Each gateway needs one.
	maxWatches = 256
	// connectionAge is after what time a gateway is asked to connect anew, give or take a
	// tenth, so that those that came while a replica was down find their way to it.
	connectionAge = 30 * time.Minute
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
		// Windows that do not grow: by itself gRPC lets a fast sender have 16 MiB of messages
		// in memory that nobody has asked for yet.
		grpc.StaticConnWindowSize(checkWindowBytes),
		grpc.StaticStreamWindowSize(windowBytes),
		// A gateway that has vanished is not kept, nor one that asks nothing.
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: clientIdleTimeout, MaxConnectionIdle: clientIdleTimeout,
			MaxConnectionAge: connectionAge, MaxConnectionAgeGrace: exchangeTimeout,
		}),
		grpc.WaitForHandlers(true),
		grpc.InTapHandle(boundChecks),
		grpc.UnaryInterceptor(recovering(log)),
		grpc.StreamInterceptor(boundWatches(make(chan struct{}, maxWatches))),
	}
	if transport != nil {
		options = append(options, grpc.Creds(transport))
	}
	server := grpc.NewServer(options...)
	authv3.RegisterAuthorizationServer(server, service)
	grpc_health_v1.RegisterHealthServer(server, health)
	return &grpcListener{net: l, server: server}
}

// boundChecks ends calls whose message does not come: an interceptor would wait for it, too.
func boundChecks(ctx context.Context, info *tap.Info) (context.Context, error) {
	if info.FullMethodName == grpc_health_v1.Health_Watch_FullMethodName {
		return ctx, nil // which lasts
	}
	bounded, cancel := context.WithTimeout(ctx, checkTimeout)
	context.AfterFunc(ctx, cancel) // gRPC cancels its own when the call has ended
	return bounded, nil
}

// boundWatches lets as many streams be open as watching has room for.
func boundWatches(watching chan struct{}) grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		select {
		case watching <- struct{}{}:
			defer func() { <-watching }()
			return handler(server, stream)
		default:
			return status.Error(codes.ResourceExhausted, "too many watches: ask once a connection, or use Check")
		}
	}
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
