// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

// logInterval is how often the log repeats that a gateway is misconfigured.
const logInterval = 10 * time.Second

// gateways answers the gateways: whatever the method, whatever follows in the body.
type gateways struct {
	// endpoints are those at a path of their own, by that path.
	endpoints map[string]*endpoint
	envoy     *endpoint
}

// endpoint serves one contract.
type endpoint struct {
	// read reads a gateway's request; see contract.read.
	read      func(r *http.Request, protected []string) requestAttributes
	decider   *decider
	identity  identity
	protected []string
	// sanitizer is set if answers say which headers the gateway is to remove.
	sanitizer *headerSanitizer
	metrics   *endpointMetrics
	clock     clock.PassiveClock
	log       logr.Logger
	// logLimit keeps a misconfigured gateway from filling the log.
	logLimit rate.Sometimes
}

func newGateways(d *decider, id identity, m *metrics, c clock.PassiveClock, log logr.Logger) *gateways {
	newEndpoint := func(name string, read func(*http.Request, []string) requestAttributes, protected ...string) *endpoint {
		return &endpoint{
			read: read, decider: d, identity: id,
			protected: append(id.names(), protected...),
			metrics:   m.endpoint(name),
			clock:     c,
			log:       log.WithValues("endpoint", name),
			logLimit:  rate.Sometimes{First: 1, Interval: logInterval},
		}
	}
	g := &gateways{endpoints: map[string]*endpoint{}, envoy: newEndpoint(envoyEndpoint, readEnvoy)}
	g.envoy.sanitizer = newHeaderSanitizer(id)
	for _, contract := range contracts {
		read := func(r *http.Request, protected []string) requestAttributes { return contract.read(r.Header, protected) }
		g.endpoints[contract.path] = newEndpoint(contract.endpoint, read, contract.methodHeader, contract.targetHeader)
	}
	return g
}

func (g *gateways) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, ok := g.endpoints[r.URL.Path]
	if asksForEnvoy(r.RequestURI) {
		e, ok = g.envoy, true
	}
	if !ok {
		refuseGateway(w, NoSuchEndpoint, "")
		return
	}
	e.ServeHTTP(w, r)
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := e.clock.Now()
	c := e.read(r, e.protected)
	d := e.decider.decide(r.Context(), r.Header, &c)
	e.metrics.count(&d, start, r)
	e.metrics.observe(d.reason, e.clock.Since(start))

	if d.reason != Allowed {
		e.metrics.refused(d.reason, &c)
		if d.reason == BadGatewayRequest {
			e.logLimit.Do(func() {
				e.log.Info("a gateway violates the contract of this endpoint: correct its configuration", "problem", d.detail)
			})
		}
		refuseGateway(w, d.reason, d.detail)
		return
	}
	// Exactly 200: several gateways do not allow with another 2xx.
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	e.identity.set(header, &d.grant)
	if e.sanitizer != nil {
		header.Set(envoyRemoveHeader, strings.Join(e.sanitizer.toRemove(r.Header), ","))
	}
	w.WriteHeader(http.StatusOK)
}
