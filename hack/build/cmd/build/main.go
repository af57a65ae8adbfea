// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Command build brings about the programs that tests, demos and checks run, and prints
// where they are.
//
//	build kubernetes         etcd, kube-apiserver, kube-controller-manager and kubectl: their folder
//	build gateways           Caddy, prom-label-proxy, Prometheus and the OpenTelemetry Collector
//	build tool PATH PACKAGE  a tool that hack/tools/go.mod pins, at this path
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/hexcovery/apikey-operator/hack/build"
	"github.com/hexcovery/apikey-operator/hack/controlplane"
	"github.com/hexcovery/apikey-operator/hack/gateways"
)

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
	case len(args) == 1 && args[0] == "kubernetes":
		binaries, err := controlplane.Provision(ctx, os.Stderr)
		if err == nil {
			fmt.Println(binaries.Dir)
		}
		return err
	case len(args) == 1 && args[0] == "gateways":
		for _, program := range gateways.Binaries() {
			path, err := gateways.Binary(ctx, program, os.Stderr)
			if err != nil {
				return err
			}
			fmt.Println(path)
		}
		return nil
	case len(args) == 3 && args[0] == "tool":
		return tool(ctx, args[1], args[2])
	default:
		return errors.New("usage: build kubernetes | build gateways | build tool PATH PACKAGE")
	}
}

func tool(ctx context.Context, path, pkg string) error {
	root, err := build.Root()
	if err != nil {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	return build.Once(ctx, os.Stderr, path, build.Spec{
		Name: filepath.Base(path), Module: filepath.Join(root, "hack", "tools"), Args: []string{pkg}, Takes: "a minute or two",
	})
}
