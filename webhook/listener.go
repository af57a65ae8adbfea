// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
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
	// proxyWindowBytes is the same for the proxy, where bodies come from afar: 5 MB/s at
	// 50 ms.
	proxyWindowBytes = 256 << 10
	// livenessTimeout is after what silence an HTTP/2 connection is asked whether it is
	// alive, and how long nothing that it was sent may be taken.
	livenessTimeout = 30 * time.Second
	// operationsConnections are for the kubelet, and for a few that scrape.
	operationsConnections = 100
)

// listener is one address and who serves it.
type listener interface {
	name() string
	address() net.Addr
	// serve blocks until the listener is shut down, which is no error.
	serve() error
	// shutdown waits for what is in flight until ctx is done.
	shutdown(ctx context.Context) error
}

// httpListener serves HTTP/1.1 and HTTP/2.
type httpListener struct {
	label  string
	net    *serving.Listener
	server *http.Server
}

func newHTTPListener(name string, l *serving.Listener, handler http.Handler, log logr.Logger) *httpListener {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &httpListener{label: name, net: l, server: &http.Server{
		Handler:   handler,
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
		IdleTimeout:       clientIdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logr.ToSlogHandler(log.V(1).WithValues("listener", name)), slog.LevelInfo),
		// "OPTIONS *" is to be decided like everything else, not answered with 200.
		DisableGeneralOptionsHandler: true,
	}}
}

func (l *httpListener) name() string      { return l.label }
func (l *httpListener) address() net.Addr { return l.net.Addr() }

// serve blocks until the listener is shut down, which is no error.
func (l *httpListener) serve() error {
	var err error
	if l.server.TLSConfig != nil {
		err = l.server.ServeTLS(l.net, "", "")
	} else {
		err = l.server.Serve(l.net)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", l.label, err)
}

// shutdown waits for the requests in flight, and cuts off those that are still
// there when ctx is done.
func (l *httpListener) shutdown(ctx context.Context) error {
	err := l.server.Shutdown(ctx)
	if err == nil {
		return nil
	}
	_ = l.server.Close() // the connections are gone, whatever it says
	return fmt.Errorf("shut down %s: requests were cut off: %w", l.label, err)
}
