// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/health/grpc_health_v1"
	"k8s.io/utils/clock"
)

// healthPeriod bounds the delay of a health watch.
const healthPeriod = time.Second

// health is the standard gRPC health service. The service of the empty name and the
// authorization service are healthy while this replica decides.
// https://github.com/grpc/grpc/blob/master/doc/health-checking.md
type health struct {
	ready func() (bool, string)
	clock clock.WithTicker
	// ended is closed when no more watches are served.
	ended <-chan struct{}
}

func (h *health) status() grpc_health_v1.HealthCheckResponse_ServingStatus {
	if ok, _ := h.ready(); ok {
		return grpc_health_v1.HealthCheckResponse_SERVING
	}
	return grpc_health_v1.HealthCheckResponse_NOT_SERVING
}

func known(service string) bool {
	return service == "" || service == authv3.Authorization_ServiceDesc.ServiceName
}

// Check implements grpc.health.v1.Health.
func (h *health) Check(_ context.Context, request *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	if !known(request.GetService()) {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("unknown service"))
	}
	return &grpc_health_v1.HealthCheckResponse{Status: h.status()}, nil
}

// Watch implements grpc.health.v1.Health.
func (h *health) Watch(ctx context.Context, request *grpc_health_v1.HealthCheckRequest, stream *connect.ServerStream[grpc_health_v1.HealthCheckResponse]) error {
	if lasts, ok := ctx.Value(lastsKey{}).(func() error); ok {
		if err := lasts(); err != nil {
			return connect.NewError(connect.CodeCanceled, err)
		}
	}
	current := h.status
	if !known(request.GetService()) {
		// The protocol has the watch stay: the service may come.
		current = func() grpc_health_v1.HealthCheckResponse_ServingStatus {
			return grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN
		}
	}
	ticker := h.clock.NewTicker(healthPeriod)
	defer ticker.Stop()
	last := grpc_health_v1.HealthCheckResponse_UNKNOWN
	for {
		if now := current(); now != last {
			if err := stream.Send(&grpc_health_v1.HealthCheckResponse{Status: now}); err != nil {
				return fmt.Errorf("watch health: %w", err)
			}
			last = now
		}
		select {
		case <-ticker.C():
		case <-h.ended:
			return connect.NewError(connect.CodeUnavailable, errors.New("shutting down"))
		case <-ctx.Done():
			return connect.NewError(connect.CodeCanceled, ctx.Err())
		}
	}
}
