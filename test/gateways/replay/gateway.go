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

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
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

	server *http.Server
	served chan error
	end    func() error
}

// readHeaderTimeout bounds a client that says nothing.
const readHeaderTimeout = 10 * time.Second

// eager has a connection that broke be made anew at once, as Envoy does it for each
// question that finds none.
var eager = grpc.WithConnectParams(grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: time.Millisecond, Multiplier: 1, MaxDelay: time.Millisecond},
	MinConnectTimeout: time.Second,
})

// Start serves the bootstrap of Envoy until Stop.
func Start(ctx context.Context, bootstrap []byte, options Options) (*Gateway, error) {
	return start(ctx, "Envoy", func() (*hcmv3.HttpConnectionManager, error) { return bootstrapManager(bootstrap) }, options)
}

// start serves, as Envoy does, what a program reads or makes of its files.
func start(ctx context.Context, program string, read func() (*hcmv3.HttpConnectionManager, error), options Options) (g *Gateway, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("start the replay of %s: %w", program, err)
		}
	}()
	manager, err := read()
	if err != nil {
		return nil, err
	}
	config, err := newConfig(manager)
	if err != nil {
		return nil, err
	}
	auth, err := grpc.NewClient(options.AuthServerGRPC, grpc.WithTransportCredentials(insecure.NewCredentials()), eager)
	if err != nil {
		return nil, err
	}
	envoy := &envoy{config: config, upstream: newUpstream(options.Upstream), authority: newAuthority(config.authz, options.AuthServer, auth)}
	return serve(ctx, envoy, func() error {
		envoy.upstream.close()
		return auth.Close()
	})
}

// serve has the handler serve on a free port until Stop, which then calls end.
func serve(ctx context.Context, handler http.Handler, end func() error) (*Gateway, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, end())
	}
	g := &Gateway{Address: listener.Addr().String(), served: make(chan error, 1), end: end}
	g.server = &http.Server{Handler: handler, Protocols: new(http.Protocols), ReadHeaderTimeout: readHeaderTimeout}
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
	return errors.Join(err, g.end())
}
