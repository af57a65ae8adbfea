// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// upstream is what lies behind the gateway: HTTP/2 for what came by HTTP/2, as
// use_downstream_protocol_config has it.
type upstream struct {
	address      string
	http1, http2 *http.Transport
}

const dialTimeout = 5 * time.Second

func newUpstream(address string) *upstream {
	u := &upstream{address: address, http1: transport(), http2: transport()}
	u.http1.Protocols.SetHTTP1(true)
	u.http2.Protocols.SetUnencryptedHTTP2(true)
	return u
}

func transport() *http.Transport {
	return &http.Transport{
		Protocols: new(http.Protocols), DisableCompression: true,
		DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext,
	}
}

func (u *upstream) close() {
	u.http1.CloseIdleConnections()
	u.http2.CloseIdleConnections()
}

// forward sends the request on, with this target, byte for byte, and these headers.
func (u *upstream) forward(r *http.Request, target string, h header) (*http.Response, error) {
	out := &http.Request{
		Method: r.Method, URL: &url.URL{Scheme: "http", Host: u.address, Opaque: target}, Host: r.Host,
		Header: http.Header{}, Body: r.Body, ContentLength: r.ContentLength,
	}
	h.into(out.Header)
	if out.Header["User-Agent"] == nil {
		out.Header["User-Agent"] = nil // none of our own
	}
	if r.ContentLength == 0 {
		out.Body = nil
	}
	transport := u.http1
	if r.ProtoMajor == 2 {
		transport = u.http2
	}
	return transport.RoundTrip(out.WithContext(r.Context()))
}

// hopByHop are the headers of one connection: removed by ConnectionManagerUtility::
// mutateRequestHeaders and mutateResponseHeaders, source/common/http/conn_manager_utility.cc.
var hopByHop = []string{"connection", "upgrade", "keep-alive", "proxy-connection", "transfer-encoding", "http2-settings", "trailer", "content-length"}

func removeHopByHop(h header) {
	// Envoy's codec of HTTP/1 removes TE unless it is for trailers, which gRPC needs.
	trailers := slices.ContainsFunc(h["te"], func(v string) bool { return httpguts.HeaderValuesContainsToken([]string{v}, "trailers") })
	delete(h, "te")
	if trailers {
		h["te"] = []string{"trailers"}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// relay sends an answer of the upstream to the client, as it comes.
func relay(w http.ResponseWriter, response *http.Response, h header) {
	defer response.Body.Close()
	removeHopByHop(h)
	h.into(w.Header())
	w.WriteHeader(response.StatusCode)
	controller := http.NewResponseController(w)
	_ = controller.Flush()
	buffer := make([]byte, 32<<10)
	for {
		n, err := response.Body.Read(buffer)
		if n > 0 {
			if _, werr := w.Write(buffer[:n]); werr != nil {
				panic(http.ErrAbortHandler)
			}
			_ = controller.Flush()
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	for name, values := range response.Trailer { // announced or not
		w.Header()[http.TrailerPrefix+name] = values
	}
}

// isGRPC is Grpc::Common::hasGrpcContentType, source/common/grpc/common.cc.
func isGRPC(h header) bool {
	rest, ok := strings.CutPrefix(h.get("content-type"), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}
