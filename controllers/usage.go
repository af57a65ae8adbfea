// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	clientretry "k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
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
		Write: func(ctx context.Context, name types.NamespacedName, fill func(*v1alpha1.APIKey)) (*v1alpha1.APIKey, error) {
			return writeUsage(ctx, mgr.GetAPIReader(), mgr.GetClient(), name, fill)
		},
	})
	if err := options.Metrics.Register(gatherer); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return gatherer, mgr.Add(gatherer)
}

// writeUsage writes a status outside of a pass: at the end of a manager, when there are
// none any more. Nothing but the usage is changed in it.
func writeUsage(ctx context.Context, reader client.Reader, writer client.StatusClient, name types.NamespacedName, fill func(*v1alpha1.APIKey)) (*v1alpha1.APIKey, error) {
	key := &v1alpha1.APIKey{}
	err := clientretry.RetryOnConflict(clientretry.DefaultBackoff, func() error {
		if err := reader.Get(ctx, name, key); err != nil {
			return err
		}
		before := key.DeepCopy()
		fill(key)
		return writer.Status().Patch(ctx, key, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	})
	if err != nil {
		return nil, fmt.Errorf("write usage: %w", err)
	}
	return key, nil
}
