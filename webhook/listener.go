// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/go-logr/logr"

	"github.com/hexcovery/apikey-operator/internal/serving"
)

const (
	// readHeaderTimeout is for gateways and clients that are near.
	readHeaderTimeout = 5 * time.Second
	// exchangeTimeout bounds a whole exchange with a gateway, which has nothing to
	// send but a header. Requests through the proxy are streams, and take their time.
	exchangeTimeout = 10 * time.Second
	// clientIdleTimeout is longer than the 60 s of nginx and the 90 s of
	// Traefik: the gateway, and not this server, should be the one to close, or it
	// may send a request into a connection that is just closing.
	clientIdleTimeout = 2 * time.Minute
	// maxHeaderBytes holds the longest path, the key, and what agents send besides.
	maxHeaderBytes = 16 << 10

	// maxStreams is how many requests one HTTP/2 connection has in flight. net/http ends a
	// connection that has reset four times as many before they were looked at
	// (CVE-2023-44487).
	maxStreams = 100
	// maxFrameBytes is the least that HTTP/2 permits (RFC 9113, section 4.2). net/http keeps a
	// buffer of the largest frame that a connection has sent.
	maxFrameBytes = 16 << 10
	// windowBytes is what a connection may send of bodies that nobody reads: gateways send none,
	// and the least that HTTP/2 permits is as much as a TCP connection has in the kernel.
	windowBytes = 64 << 10
	// proxyWindowBytes is the same for the proxy, where bodies come from afar: 2.5 MB/s at
	// 50 ms.
	proxyWindowBytes = 128 << 10
	// livenessTimeout is after what silence an HTTP/2 connection is asked whether it is
	// alive, and how long nothing that it was sent may be taken.
	livenessTimeout = 30 * time.Second
	// operationsConnections are for the kubelet, and for a few that scrape.
	operationsConnections = 100
)

// answerer answers a request, which owes something until it is answered or let in.
type answerer = func(http.ResponseWriter, *http.Request, *serving.Request)

// handledBy answers as a handler does, which lets nothing in.
func handledBy(handler http.Handler) answerer {
	return func(w http.ResponseWriter, r *http.Request, _ *serving.Request) { handler.ServeHTTP(w, r) }
}

// listener is one address and who serves it, over HTTP/1.1 and HTTP/2.
type listener struct {
	name   string
	net    *serving.Listener
	server *http.Server
}

// What a listener speaks, as TLS names it. One request of HTTP/1.1 makes as little of a
// connection as there can be, so that is what gateways and operations have.
const http1, http2 = "http/1.1", "h2"

// newListener returns a listener whose requests owe what they may take. TLS is the business
// of l, so to net/http all is plain.
func newListener(name string, l *serving.Listener, speaks []string, answer answerer, log logr.Logger) *listener {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(slices.Contains(speaks, http1))
	protocols.SetUnencryptedHTTP2(slices.Contains(speaks, http2))
	return &listener{name: name, net: l, server: &http.Server{
		Handler:   l.Account(answer),
		Protocols: protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReadFrameSize:              maxFrameBytes,
			MaxReceiveBufferPerConnection: windowBytes,
			MaxReceiveBufferPerStream:     windowBytes,
			SendPingTimeout:               livenessTimeout,
			PingTimeout:                   livenessTimeout,
			WriteByteTimeout:              livenessTimeout,
		},
		ConnState:         l.ConnState,
		ConnContext:       l.ConnContext,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       exchangeTimeout,
		WriteTimeout:      exchangeTimeout,
		IdleTimeout:       clientIdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logr.ToSlogHandler(log.V(1).WithValues("listener", name)), slog.LevelInfo),
		// "OPTIONS *" is to be decided like everything else, not answered with 200.
		DisableGeneralOptionsHandler: true,
	}}
}

// serve blocks until the listener is shut down, which is no error.
func (l *listener) serve() error {
	if err := l.server.Serve(l.net); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.name, err)
	}
	return nil
}

// shutdown waits for the requests in flight, and cuts off those that are still
// there when ctx is done.
func (l *listener) shutdown(ctx context.Context) error {
	err := l.server.Shutdown(ctx)
	if err == nil {
		return nil
	}
	_ = l.server.Close() // the connections are gone, whatever it says
	return fmt.Errorf("shut down %s: requests were cut off: %w", l.name, err)
}
