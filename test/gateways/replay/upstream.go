// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// upstream is what lies behind the gateway: HTTP/2 for what came by HTTP/2, as
// use_downstream_protocol_config has it.
type upstream struct {
	address      string
	http1, http2 *http.Transport
}

const dialTimeout = 5 * time.Second

func newUpstream(address string) *upstream {
	return &upstream{address: address, http1: transport((*http.Protocols).SetHTTP1), http2: transport((*http.Protocols).SetUnencryptedHTTP2)}
}

// transport speaks one protocol.
func transport(speak func(*http.Protocols, bool)) *http.Transport {
	protocols := new(http.Protocols)
	speak(protocols, true)
	return &http.Transport{Protocols: protocols, DisableCompression: true, DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext}
}

func (u *upstream) close() {
	u.http1.CloseIdleConnections()
	u.http2.CloseIdleConnections()
}

// to forwards requests with the target of this one, byte for byte, and its headers, but
// without trailers, which Envoy's codec of HTTP/1 drops.
func (u *upstream) to(q *request) *httputil.ReverseProxy {
	proxy := &httputil.ReverseProxy{
		Transport: u.http1, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL = &url.URL{Scheme: "http", Host: u.address, Opaque: q.target}
			r.Out.Host, r.Out.Header, r.Out.Trailer = q.Host, http.Header{}, nil
			q.header.into(r.Out.Header)
		},
	}
	if q.ProtoMajor == 2 {
		proxy.Transport = u.http2
	}
	return proxy
}
