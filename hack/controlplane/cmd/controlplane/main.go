// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Command controlplane runs a Kubernetes control plane to develop on until it is
// interrupted, and prints its kubeconfig.
//
//	controlplane [-audit-log] [-dir folder] [kustomization ...]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/hexcovery/apikey-operator/hack/controlplane"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	opts := controlplane.Options{Log: os.Stderr}
	flag.BoolVar(&opts.AuditLog, "audit-log", false, "log every request to logs/audit.log")
	flag.StringVar(&opts.Dir, "dir", "", "folder for data and logs; a temporary one by default")
	flag.Parse()
	opts.Apply = flag.Args()
	cp, err := controlplane.Start(ctx, opts)
	if err != nil {
		return err
	}
	fmt.Println(cp.AdminKubeconfig())
	<-ctx.Done()
	return cp.Stop()
}
