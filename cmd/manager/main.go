// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager is the controller manager: it mints keys, writes Secrets, and
// revokes. It writes its audit trail to standard output or a file, and its logs to
// standard error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	_ "time/tzdata" // for the time zones of windows, wherever this runs

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hexcovery/apikey-operator/controllers"
	"github.com/hexcovery/apikey-operator/internal/audit/trail"
	"github.com/hexcovery/apikey-operator/internal/connection"
	"github.com/hexcovery/apikey-operator/internal/usage/gather"
)

func main() {
	if err := run(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintf(os.Stderr, "manager: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	options := controllers.DefaultOptions()
	flag.StringVar(&options.Namespace, "namespace", options.Namespace,
		"namespace of the operator, where auth servers and the leader have their Leases")
	flag.StringVar(&options.MetricsAddress, "metrics-listen", ":8080", "address of /metrics; 0 for none")
	flag.StringVar(&options.ProbeAddress, "probe-listen", ":8081", "address of /healthz and /readyz; 0 for none")
	flag.BoolVar(&options.LeaderElection, "leader-elect", options.LeaderElection, "elect a leader among several managers: only it acts")
	flag.DurationVar(&options.LeaseDuration, "leader-elect-lease-duration", options.LeaseDuration,
		"how long other managers wait before they replace a leader that no longer renews its Lease")
	flag.DurationVar(&options.RenewDeadline, "leader-elect-renew-deadline", options.RenewDeadline,
		"how long a leader retries to renew its Lease before the manager exits; less than --leader-elect-lease-duration")
	flag.DurationVar(&options.RetryPeriod, "leader-elect-retry-period", options.RetryPeriod,
		"how long to wait between two tries to acquire or renew the leader's Lease")
	flag.IntVar(&options.Concurrency, "concurrency", options.Concurrency, "how many APIKeys are reconciled at the same time")
	flag.DurationVar(&options.UsageInterval, "usage-interval", options.UsageInterval,
		"how often at most an APIKey's status is written because its key was used; while a key is being replaced, once a minute")
	flag.DurationVar(&options.GatherInterval, "usage-gather-interval", options.GatherInterval,
		"how often to gather usage from each auth server")
	keyMetrics := flag.Bool("per-key-metrics", false, "expose metrics for each key, with its namespace, name and ID as labels")
	keyMetricsLimit := flag.Int("per-key-metrics-limit", gather.DefaultKeyMetricsLimit, "most keys that have metrics of their own")
	auditLog := trail.Flag(flag.CommandLine)
	logging := zap.Options{}
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: use flags only, see --help", flag.Arg(0))
	}
	if *keyMetrics {
		options.KeyMetricsLimit = *keyMetricsLimit
	}

	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&logging)))
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	connection.Harden(config)
	options.Audit, err = trail.Open(ctx, *auditLog, "manager", metrics.Registry, ctrl.Log.WithName("audit"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, options.Audit.Close()) }()
	manager, err := controllers.NewManager(ctx, config, options)
	if err != nil {
		return err
	}
	return manager.Start(ctx)
}
