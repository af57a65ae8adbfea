// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/hexcovery/apikey-operator/hack/controlplane"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

// options are the flags.
type options struct {
	keys, warmup, replicas, burst int
	dir                           string
}

func main() {
	var opts options
	flag.IntVar(&opts.keys, "n", 200, "how many keys are measured")
	flag.IntVar(&opts.warmup, "warmup", 20, "how many keys come before, and are not measured")
	flag.IntVar(&opts.replicas, "replicas", 3, "how many auth servers there are")
	flag.IntVar(&opts.burst, "burst", 2000, "how many keys are then minted, and deleted, at once; 0 for none")
	flag.StringVar(&opts.dir, "dir", "", "folder for data and logs, which stays; by default a temporary one")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, opts)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, opts options) (err error) {
	if flag.NArg() > 0 || opts.keys < 1 || opts.warmup < 0 || opts.burst < 0 || opts.replicas < 1 {
		return errors.New("everything is a flag, -n and -replicas are at least 1: see -help")
	}
	product, err := stack.Start(ctx, stack.Options{
		ControlPlane: controlplane.Options{AuditLog: true, Dir: opts.dir},
		AuthServers:  opts.replicas,
		Log:          os.Stderr,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, product.Stop()) }()

	measured, err := measure(ctx, product, opts)
	if err != nil {
		return err
	}
	events, err := product.ControlPlane.AuditEvents()
	if err != nil {
		return err
	}
	report(os.Stdout, os.Stderr, measured, countWrites(events, measured.samples))
	return nil
}
