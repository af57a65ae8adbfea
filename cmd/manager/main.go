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
	flag.StringVar(&options.Namespace, "namespace", options.Namespace, "namespace of the operator, where auth servers and the leader have their Leases")
	flag.StringVar(&options.MetricsAddress, "metrics-listen", ":8080", "address that /metrics is served on; 0 for none")
	flag.StringVar(&options.ProbeAddress, "probe-listen", ":8081", "address that /healthz and /readyz are served on; 0 for none")
	flag.BoolVar(&options.LeaderElection, "leader-elect", options.LeaderElection, "let one of several managers act at a time")
	flag.DurationVar(&options.LeaseDuration, "leader-elect-lease-duration", options.LeaseDuration, "how long a leader that is not heard from stays the leader: others wait as long")
	flag.DurationVar(&options.RenewDeadline, "leader-elect-renew-deadline", options.RenewDeadline, "how long a leader tries to renew its Lease before it gives up and the manager ends; less than the lease duration")
	flag.DurationVar(&options.RetryPeriod, "leader-elect-retry-period", options.RetryPeriod, "how long to wait between two tries to become the leader, or to stay it")
	flag.IntVar(&options.Concurrency, "concurrency", options.Concurrency, "how many APIKeys are worked on at the same time")
	flag.DurationVar(&options.UsageInterval, "usage-interval", options.UsageInterval, "how often at most an APIKey's status is written because its key was used; while a key is being replaced, once a minute")
	flag.DurationVar(&options.GatherInterval, "usage-gather-interval", options.GatherInterval, "how often each auth server is asked for what it has counted")
	keyMetrics := flag.Bool("per-key-metrics", false, "have metrics for each key, with its namespace, name and ID as labels")
	keyMetricsLimit := flag.Int("per-key-metrics-limit", gather.DefaultKeyMetricsLimit, "how many keys have metrics of their own at most")
	auditLog := trail.Flag(flag.CommandLine)
	logging := zap.Options{}
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: everything is a flag, see --help", flag.Arg(0))
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
