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

// complaintInterval is how often the log repeats that a gateway is misconfigured.
const complaintInterval = 10 * time.Second

// gateways answers the gateways: whatever the method, whatever follows in the body.
type gateways struct {
	// endpoints are those at a path of their own, by that path.
	endpoints map[string]*endpoint
	envoy     *endpoint
}

// endpoint serves one contract.
type endpoint struct {
	// read takes the claim from a gateway's request; see contract.read.
	read     func(r *http.Request, imitable []string) claim
	decider  *decider
	identity identity
	imitable []string
	// removal is set if answers say which headers the gateway is to remove.
	removal *removal
	metrics *endpointMetrics
	clock   clock.PassiveClock
	log     logr.Logger
	// complaints keeps a broken gateway from filling the log.
	complaints rate.Sometimes
}

func newGateways(d *decider, id identity, m *metrics, c clock.PassiveClock, log logr.Logger) *gateways {
	newEndpoint := func(name string, read func(*http.Request, []string) claim, imitable ...string) *endpoint {
		return &endpoint{
			read: read, decider: d, identity: id,
			imitable:   append(id.names(), imitable...),
			metrics:    m.endpoint(name),
			clock:      c,
			log:        log.WithValues("endpoint", name),
			complaints: rate.Sometimes{First: 1, Interval: complaintInterval},
		}
	}
	g := &gateways{endpoints: map[string]*endpoint{}, envoy: newEndpoint(envoyEndpoint, readEnvoy)}
	g.envoy.removal = newRemoval(id)
	for _, contract := range contracts {
		read := func(r *http.Request, imitable []string) claim { return contract.read(r.Header, imitable) }
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
		tellGateway(w, NoSuchEndpoint, "")
		return
	}
	e.ServeHTTP(w, r)
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := e.clock.Now()
	c := e.read(r, e.imitable)
	d := e.decider.decide(r.Context(), r.Header, &c)
	e.metrics.count(&d, start, r)
	e.metrics.observe(d.reason, e.clock.Since(start))

	if d.reason != Allowed {
		e.metrics.refused(d.reason, &c)
		if d.reason == BadGatewayRequest {
			e.complaints.Do(func() { e.log.Info("a gateway does not keep the contract of this endpoint", "problem", d.detail) })
		}
		tellGateway(w, d.reason, d.detail)
		return
	}
	// Exactly 200: several gateways take no other 2xx for a yes.
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	e.identity.set(header, &d.grant)
	if e.removal != nil {
		header.Set(envoyRemoveHeader, strings.Join(e.removal.of(r.Header), ","))
	}
	w.WriteHeader(http.StatusOK)
}
