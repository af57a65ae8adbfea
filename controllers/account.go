// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/usage/gather"
)

// account puts the use of the keys into a status that is to be written, and reports
// whether it is: because something else has changed, or because the last write for
// usage is long enough ago.
func (r *APIKeyReconciler) account(p *pass) (write bool) {
	book := r.Gatherer.Book()
	book.Observe(p.observed)
	if equality.Semantic.DeepEqual(p.observed.Status, p.key.Status) && !book.Due(p.observed, p.now) {
		return false
	}
	book.Fill(p.key)
	return !equality.Semantic.DeepEqual(p.observed.Status, p.key.Status)
}

// usageDue has those reconciled whose usage is due to be written. The queue holds each
// APIKey once, however often it is named.
func (r *APIKeyReconciler) usageDue(_ context.Context, q queue) error {
	r.Gatherer.Wake(func(name types.NamespacedName) { q.Add(reconcile.Request{NamespacedName: name}) })
	return nil
}

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
