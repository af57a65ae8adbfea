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
	net    net.Listener
	server *http.Server
}

func newHTTPListener(name string, l net.Listener, handler http.Handler, log logr.Logger) *httpListener {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &httpListener{label: name, net: l, server: &http.Server{
		Handler:           handler,
		Protocols:         protocols,
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
