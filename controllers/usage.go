// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/usage/gather"
)

// newGatherer sets up the gathering of usage.
func newGatherer(mgr ctrl.Manager, members *registry.Members, options Options) (*gather.Gatherer, error) {
	// Not the manager's own client, which has a cache: nothing is to follow ServiceAccounts.
	c, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	ledger := gather.NewLedger(options.Clock, options.UsageInterval)
	if options.KeyMetricsLimit > 0 {
		if err := options.Metrics.Register(ledger.KeyMetrics(options.KeyMetricsLimit)); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	gatherer := gather.New(gather.Config{
		Members:  members,
		Tokens:   &gather.Tokens{Client: c, Namespace: options.Namespace, Clock: options.Clock},
		Keys:     mgr.GetCache(),
		Leases:   mgr.GetCache(),
		Ledger:   ledger,
		Interval: options.GatherInterval,
		Clock:    options.Clock,
	})
	if err := options.Metrics.Register(gatherer); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return gatherer, mgr.Add(gatherer)
}
