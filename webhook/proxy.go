// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/serving"
)

// proxyEndpoint is the proxy's name in metrics and logs.
const proxyEndpoint = "proxy"

// proxy is the gateway for whoever has none: it decides each request by itself,
// and forwards it, streaming in both directions.
type proxy struct {
	decider  *decider
	identity identity
	upstream *url.URL
	forward  *httputil.ReverseProxy
	metrics  *endpointMetrics
	clock    clock.PassiveClock
	log      logr.Logger
	// logLimit keeps a failing upstream from filling the log.
	logLimit  rate.Sometimes
	sanitizer *headerSanitizer
	// stalls ends requests whose clients make no progress.
	stalls *serving.Stalls
	// shares bound the requests that are forwarded.
	shares *serving.Shares
}

// grantKey is where the context of an allowed request holds its registry.Grant.
type grantKey struct{}

func newProxy(upstream *url.URL, transport http.RoundTripper, d *decider, id identity, m *metrics, c clock.PassiveClock, log logr.Logger) *proxy {
	p := &proxy{
		decider: d, identity: id, upstream: upstream,
		metrics:   m.endpoint(proxyEndpoint),
		clock:     c,
		log:       log.WithValues("endpoint", proxyEndpoint),
		logLimit:  rate.Sometimes{First: 1, Interval: logInterval},
		sanitizer: newHeaderSanitizer(id),
	}
	p.forward = &httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		Transport:      transport,
		ModifyResponse: modifyResponse,
		ErrorHandler:   p.upstreamFailed,
		ErrorLog:       slog.NewLogLogger(logr.ToSlogHandler(p.log.V(1)), slog.LevelInfo),
		BufferPool:     &bufferPool{},
		// FlushInterval stays 0. A response of unknown length, which every stream
		// is, is flushed as it comes; flushing the others too would send the header
		// of a gRPC error without the end of its stream, and clients would not
		// take it for the trailers that it is.
	}
	return p
}

// serve answers a request.
func (p *proxy) serve(w http.ResponseWriter, r *http.Request, request *serving.Request) {
	start := p.clock.Now()
	c := proxyAttributes(r)
	d := p.decider.decide(r.Context(), r.Header, &c)
	p.metrics.count(&d, start, r)
	p.metrics.observe(d.reason, p.clock.Since(start))

	if d.reason != Allowed {
		p.metrics.refused(d.reason, &c)
		p.refuse(w, r, d.reason, d.detail)
		return
	}
	organization := d.grant.Organization
	if !p.shares.Take(organization) {
		p.refuse(w, r, TooBusy, "")
		return
	}
	defer p.shares.Return(organization)
	request.LetIn()
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
		return // the client has gone
	}
	// What is left here is h2c, which a server may decline by ignoring it.
	r.Header.Del(upgradeHeader)
	r = r.WithContext(context.WithValue(r.Context(), grantKey{}, &d.grant))
	watched, forwarded, done := p.stalls.Watch(w, r)
	defer done()
	p.forward.ServeHTTP(watched, forwarded)
}

// proxyAttributes takes the request at its word. The target is the one on the wire:
// absolute targets ("GET http://host/path") and CONNECT's are not in origin form,
// and so have no path to judge.
func proxyAttributes(r *http.Request) requestAttributes {
	for _, protocol := range r.Header[upgradeHeader] {
		// Clients that prefer HTTP/2 offer h2c with every request.
		if !strings.EqualFold(protocol, "h2c") {
			return requestAttributes{refusal: UpgradeRefused}
		}
	}
	if overridden(r.Header, r.Method) {
		return requestAttributes{refusal: MethodOverridden}
	}
	return requestAttributes{method: r.Method, target: r.RequestURI, refusal: Allowed}
}

// refuse answers in the language of the client, at once: a refusal does not depend on the
// body.
func (p *proxy) refuse(w http.ResponseWriter, r *http.Request, reason Reason, detail string) {
	serving.AnswerFirst(w, r, p.clock, func() {
		if isGRPC(r) {
			writeStatus(w, reason, detail)
			return
		}
		writeProblem(w, reason, detail)
	})
}

// rewrite makes the request to the upstream. It runs after the hop-by-hop headers
// were removed, so that no client can name one of ours in its Connection header.
func (p *proxy) rewrite(pr *httputil.ProxyRequest) {
	// Panics rather than forward a request that nobody has allowed.
	grant := pr.In.Context().Value(grantKey{}).(*registry.Grant)

	pr.Out.URL.Scheme = transportScheme(p.upstream)
	pr.Out.URL.Host = p.upstream.Host
	pr.Out.Host = ""
	// ReverseProxy drops the parameters that it cannot parse: an upstream would
	// answer another question than was asked.
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery
	// Some servers merge trailers into the headers.
	pr.Out.Trailer = nil
	p.sanitizer.strip(pr.Out.Header)
	pr.SetXForwarded()
	p.identity.set(pr.Out.Header, grant)
}

// modifyResponse keeps caches from answering in place of the key: they know that
// an Authorization header makes a response private (RFC 9111, section 3.5), but
// nothing of X-API-Key.
func modifyResponse(response *http.Response) error {
	if response.StatusCode == http.StatusSwitchingProtocols {
		return errors.New("upstream switched protocols unasked")
	}
	response.Header.Set("Cache-Control", "no-store")
	return nil
}

func (p *proxy) upstreamFailed(w http.ResponseWriter, r *http.Request, err error) {
	if serving.Stalled(r) {
		p.refuse(w, r, RequestStalled, "")
		return
	}
	if !errors.Is(err, context.Canceled) { // the client has gone
		p.logLimit.Do(func() { p.log.Error(err, "upstream failed", "upstream", p.upstream.Host) })
	}
	p.refuse(w, r, UpstreamUnavailable, "")
}

// bufferPool lends the buffers that responses are copied through.
type bufferPool struct{ pool sync.Pool }

const bufferBytes = 32 << 10

func (b *bufferPool) Get() []byte {
	if buffer, ok := b.pool.Get().(*[bufferBytes]byte); ok {
		return buffer[:]
	}
	return make([]byte, bufferBytes)
}

func (b *bufferPool) Put(buffer []byte) { b.pool.Put((*[bufferBytes]byte)(buffer)) }
