// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/hexcovery/apikey-operator/internal/surface"
	"github.com/hexcovery/apikey-operator/webhook"
)

// Product is the auth server, on sockets of its own, over a registry that knows the
// keys of the corpus.
type Product struct {
	// Gateways, GRPC and Proxy are where it listens.
	Gateways, GRPC, Proxy string

	metrics *prometheus.Registry
	stop    context.CancelFunc
	done    chan error
}

// StartProduct starts an auth server; its proxy forwards to upstream. Close ends it.
func StartProduct(keyring *Keyring, upstream string) (*Product, error) {
	target, err := webhook.ParseUpstream("http://" + upstream)
	if err != nil {
		return nil, err
	}
	var listeners []net.Listener
	for range 4 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, listener)
	}
	metrics := prometheus.NewRegistry()
	server, err := webhook.New(webhook.Config{
		Authenticator: keyring, Surface: surface.Default(), OrganizationHeader: webhook.DefaultOrganizationHeader,
		Gateways: listeners[0], Proxy: listeners[1], Upstream: target, Operations: listeners[2], GRPC: listeners[3],
		ShutdownTimeout: webhook.DefaultShutdownTimeout,
		Clock:           clock.RealClock{}, Log: logr.Discard(), Registerer: metrics, Gatherer: metrics,
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Product{Gateways: listeners[0].Addr().String(), GRPC: listeners[3].Addr().String(), Proxy: listeners[1].Addr().String(), metrics: metrics, stop: stop, done: make(chan error, 1)}
	go func() { p.done <- server.Run(ctx) }()
	return p, nil
}

// Close ends it and waits.
func (p *Product) Close() error {
	p.stop()
	if err := <-p.done; err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Decisions counts what was decided so far, by reason.
func (p *Product) Decisions() map[string]float64 {
	families, _ := p.metrics.Gather()
	counts := map[string]float64{}
	for _, family := range families {
		if !strings.HasSuffix(family.GetName(), "decisions_total") {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "reason" && metric.GetCounter().GetValue() > 0 {
					counts[label.GetValue()] += metric.GetCounter().GetValue()
				}
			}
		}
	}
	return counts
}
