// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Command controlplane provisions and runs a Kubernetes control plane to develop on.
//
//	controlplane build                             bring about the binaries, and print their folder
//	controlplane run [flags] [kustomization ...]   run a control plane until interrupted, and print its kubeconfig
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
)

var errUsage = errors.New(`usage:
  controlplane build
  controlplane run [-audit-log] [-dir folder] [kustomization ...]`)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "build":
		return build(ctx)
	case len(args) > 0 && args[0] == "run":
		return run(ctx, args[1:])
	default:
		return errUsage
	}
}

func build(ctx context.Context) error {
	binaries, err := controlplane.Provision(ctx, os.Stderr)
	if err != nil {
		return err
	}
	fmt.Println(binaries.Dir())
	return nil
}

func run(ctx context.Context, args []string) error {
	opts := controlplane.Options{Log: os.Stderr}
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.BoolVar(&opts.AuditLog, "audit-log", false, "log every request to logs/audit.log")
	flags.StringVar(&opts.Dir, "dir", "", "folder for data and logs; a temporary one by default")
	if err := flags.Parse(args); err != nil {
		return err
	}
	opts.Apply = flags.Args()
	cp, err := controlplane.Start(ctx, opts)
	if err != nil {
		return err
	}
	fmt.Println(cp.AdminKubeconfig())
	<-ctx.Done()
	return cp.Stop()
}
