// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

// complaintInterval is how often the log repeats that a gateway is misconfigured.
const complaintInterval = 10 * time.Second

// gateways answers the gateways: whatever the method, whatever follows in the body.
type gateways struct {
	endpoints map[string]*endpoint
}

// endpoint serves one contract.
type endpoint struct {
	contract *contract
	decider  *decider
	identity identity
	imitable []string
	metrics  *endpointMetrics
	clock    clock.PassiveClock
	log      logr.Logger
	// complaints keeps a broken gateway from filling the log.
	complaints rate.Sometimes
}

func newGateways(d *decider, id identity, m *metrics, c clock.PassiveClock, log logr.Logger) *gateways {
	g := &gateways{endpoints: map[string]*endpoint{}}
	for _, contract := range contracts {
		g.endpoints[contract.path] = &endpoint{
			contract: contract, decider: d, identity: id,
			imitable:   append(id.names(), contract.methodHeader, contract.targetHeader),
			metrics:    m.endpoint(contract.endpoint),
			clock:      c,
			log:        log.WithValues("endpoint", contract.endpoint),
			complaints: rate.Sometimes{First: 1, Interval: complaintInterval},
		}
	}
	return g
}

func (g *gateways) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, ok := g.endpoints[r.URL.Path]
	if !ok {
		tellGateway(w, NoSuchEndpoint, "")
		return
	}
	e.ServeHTTP(w, r)
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := e.clock.Now()
	c := e.contract.read(r.Header, e.imitable)
	d := e.decider.decide(r.Header, &c)
	e.metrics.observe(d.reason, e.clock.Since(start))

	if d.reason != Allowed {
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
	w.WriteHeader(http.StatusOK)
}
