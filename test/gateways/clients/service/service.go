// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package service stands in for a Kubernetes Service: one address before several
// endpoints, of which those that are ready get new connections, in turn. It does what
// kube-proxy does and no more: a connection, once made, stays where it is, and no byte
// of it is looked at.
package service

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hexcovery/apikey-operator/test/gateways/relay"
)

// probeInterval is how often each endpoint's readiness is asked for. A kubelet does that
// less often, which is what the drain delay is for.
const probeInterval = 50 * time.Millisecond

// Endpoint is one program behind the Service.
type Endpoint struct {
	// Address of the program, a host:port.
	Address string
	// Readyz is the URL that answers 200 while it is ready.
	Readyz string
}

// Start listens on a free port of loopback, until Close. The targets are the endpoints
// that are ready, as it knows them; it asks them until ctx is done.
func Start(ctx context.Context, endpoints ...Endpoint) (*relay.Relay, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a service: %w", err)
	}
	service := relay.Start(listener)
	go wait.UntilWithContext(ctx, func(ctx context.Context) { service.Route(probe(ctx, endpoints)...) }, probeInterval)
	return service, nil
}

// probe returns the addresses of the endpoints that are ready. Who is slow to say so is
// waited for: a busy machine must not look like an outage.
func probe(ctx context.Context, endpoints []Endpoint) (ready []string) {
	for _, endpoint := range endpoints {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint.Readyz, nil)
		if err != nil {
			continue // nobody could ask that
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			continue
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			ready = append(ready, endpoint.Address)
		}
	}
	return ready
}
