// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

// Options say what a gateway stands before. Addresses are host:port, without TLS.
type Options struct {
	// AuthServer is where it asks, over gRPC or over HTTP: see Program.
	AuthServer string
	// Upstream takes HTTP/1.1, and HTTP/2 without TLS.
	Upstream string
}

// Program is a gateway that is replayed.
type Program struct {
	Name string
	// Folder of config/gateways has its files.
	Folder string
	// GRPC is whether it asks over gRPC, and not over HTTP.
	GRPC bool

	// manager reads what the program has an Envoy do, in one of its variants; nil for Traefik.
	manager func(files fs.FS, variant string) (*hcmv3.HttpConnectionManager, error)
	variant string
}

// All are the gateways that there are.
func All() []Program {
	return []Program{
		{"envoy-grpc", "envoy", true, bootstrapManager, "envoy-grpc.yaml"},
		{"envoy-http", "envoy", false, bootstrapManager, "envoy-http.yaml"},
		{"traefik", "traefik", false, nil, ""},
		// The policy names the provider for gRPC.
		{"istio-grpc", "istio", true, istioManager, ""},
		{"istio-http", "istio", false, istioManager, "apikey-authserver-http"},
		{"eg-grpc", "envoy-gateway", true, gatewayManager, "securitypolicy-grpc.yaml"},
		{"eg-http", "envoy-gateway", false, gatewayManager, "securitypolicy-http.yaml"},
	}
}

// Start serves what the files say until ctx is done. At the address, a host:port, it
// speaks HTTP/1.1 and HTTP/2 without TLS.
func (p Program) Start(ctx context.Context, files fs.FS, options Options) (address string, err error) {
	handler, err := p.handler(ctx, files, options)
	if err != nil {
		return "", fmt.Errorf("start the replay of %s: %w", p.Name, err)
	}
	return rig.Serve(ctx, handler), nil
}

func (p Program) handler(ctx context.Context, files fs.FS, options Options) (http.Handler, error) {
	if p.manager == nil {
		return newTraefik(files, options)
	}
	manager, err := p.manager(files, p.variant)
	if err != nil {
		return nil, err
	}
	return newEnvoy(ctx, manager, options)
}
