// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package recorder

import (
	"net/http"
	"net/http/httptest"
)

// Serve serves a handler, such as a Recorder, on a free port of loopback, over HTTP/1.1
// and HTTP/2 without TLS, until the server is closed.
func Serve(handler http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	return server
}
