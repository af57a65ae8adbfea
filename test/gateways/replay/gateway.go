// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Options say what a gateway stands before. Addresses are host:port, without TLS.
type Options struct {
	// AuthServer is where gateways ask over HTTP.
	AuthServer string
	// AuthServerGRPC is where they ask over gRPC.
	AuthServerGRPC string
	// Upstream takes HTTP/1.1, and HTTP/2 without TLS.
	Upstream string
}

// Gateway is a replay that runs.
type Gateway struct {
	// Address is the host:port where it speaks HTTP/1.1 and HTTP/2 without TLS.
	Address string

	server   *http.Server
	served   chan error
	upstream *upstream
	auth     *grpc.ClientConn
}

// readHeaderTimeout bounds a client that says nothing.
const readHeaderTimeout = 10 * time.Second

// Start serves the bootstrap of Envoy until Stop.
func Start(ctx context.Context, bootstrap []byte, options Options) (*Gateway, error) {
	config, err := parse(bootstrap)
	if err != nil {
		return nil, fmt.Errorf("start the replay of Envoy: %w", err)
	}
	auth, err := grpc.NewClient(options.AuthServerGRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("start the replay of Envoy: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the replay of Envoy: %w", err), auth.Close())
	}
	g := &Gateway{Address: listener.Addr().String(), served: make(chan error, 1), upstream: newUpstream(options.Upstream), auth: auth}
	envoy := &envoy{config: config, upstream: g.upstream, authority: newAuthority(config, options, auth)}
	g.server = &http.Server{Handler: envoy, Protocols: new(http.Protocols), ReadHeaderTimeout: readHeaderTimeout}
	g.server.Protocols.SetHTTP1(true)
	g.server.Protocols.SetUnencryptedHTTP2(true)
	go func() { g.served <- g.server.Serve(listener) }()
	return g, nil
}

// Stop cuts every connection.
func (g *Gateway) Stop() error {
	err := g.server.Close()
	if served := <-g.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	g.upstream.close()
	return errors.Join(err, g.auth.Close())
}
