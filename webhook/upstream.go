// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// The schemes of an upstream.
const (
	schemeHTTP  = "http"  // HTTP/1.1, and for gRPC HTTP/2 without TLS
	schemeHTTPS = "https" // HTTP/2 or HTTP/1.1, as TLS negotiates
	schemeH2C   = "h2c"   // HTTP/2 without TLS for everything
)

// Failures to connect are worth a quick answer; how long an answer takes is the
// upstream's business.
const (
	dialTimeout           = 5 * time.Second
	expectContinueTimeout = time.Second
	idleConnections       = 256
	idleTimeout           = 90 * time.Second
	pingAfterSilence      = 15 * time.Second
)

// ParseUpstream reads the URL of an upstream: a scheme and a host, and nothing
// that would make the path that is forwarded another than the one that was judged.
func ParseUpstream(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	switch {
	case u.Scheme != schemeHTTP && u.Scheme != schemeHTTPS && u.Scheme != schemeH2C:
		return nil, fmt.Errorf("upstream %q: start it with http://, https:// or h2c://", s)
	case u.Hostname() == "":
		return nil, fmt.Errorf("upstream %q: has no host", s)
	case u.User != nil:
		return nil, errors.New("upstream: must not hold a user or password")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("upstream %q: leave out what follows the host, paths are forwarded as they were judged", s)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// LoadRoots reads the certificates, in PEM, that those of an upstream, or of an issuer
// of sessions, are to be signed by.
func LoadRoots(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file) //nolint:gosec // The administrator names it.
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return roots, nil
}

// transportScheme is what net/http calls the scheme.
func transportScheme(upstream *url.URL) string {
	if upstream.Scheme == schemeH2C {
		return schemeHTTP
	}
	return upstream.Scheme
}

// upstreamTransport sends each request in a protocol that the upstream speaks.
type upstreamTransport struct {
	grpc, other *http.Transport
}

// newUpstreamTransport trusts roots, or the system's if roots is nil.
func newUpstreamTransport(upstream *url.URL, roots *x509.CertPool) *upstreamTransport {
	negotiated, http1, h2c := new(http.Protocols), new(http.Protocols), new(http.Protocols)
	negotiated.SetHTTP1(true)
	negotiated.SetHTTP2(true)
	http1.SetHTTP1(true)
	h2c.SetUnencryptedHTTP2(true)

	switch upstream.Scheme {
	case schemeHTTPS:
		t := newTransport(negotiated)
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
		return &upstreamTransport{grpc: t, other: t}
	case schemeH2C:
		t := newTransport(h2c)
		return &upstreamTransport{grpc: t, other: t}
	default:
		// Nothing negotiates HTTP/2 here, and gRPC knows nothing else.
		return &upstreamTransport{grpc: newTransport(h2c), other: newTransport(http1)}
	}
}

func newTransport(protocols *http.Protocols) *http.Transport {
	return &http.Transport{
		Protocols:             protocols,
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ExpectContinueTimeout: expectContinueTimeout,
		MaxIdleConnsPerHost:   idleConnections,
		IdleConnTimeout:       idleTimeout,
		// A connection whose other end has vanished must not take streams with it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfterSilence, PingTimeout: pingAfterSilence},
		// The encoding is a matter between the client and the upstream.
		DisableCompression: true,
		// Proxy stays nil: an HTTP_PROXY variable is meant for other traffic.
	}
}

func (t *upstreamTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if isGRPC(r) {
		return t.grpc.RoundTrip(r)
	}
	return t.other.RoundTrip(r)
}
