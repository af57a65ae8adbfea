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
	"time"

	"github.com/hexcovery/apikey-operator/hack/stack"
)

// options are the flags.
type options struct {
	valid, times, phases int
	phase                time.Duration
}

func main() {
	var opts options
	flag.IntVar(&opts.valid, "valid", 200, "how many valid requests are sent a second")
	flag.IntVar(&opts.times, "times", 10, "how many times as much junk there is")
	flag.IntVar(&opts.phases, "phases", 12, "how many phases there are of either kind")
	flag.DurationVar(&opts.phase, "phase", 5*time.Second, "how long a phase is")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, opts)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "flood: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, opts options) (err error) {
	if flag.NArg() > 0 || opts.valid < 1 || opts.times < 1 || opts.phases < 1 || opts.phase < time.Second {
		return errors.New("everything is a flag, numbers are at least 1 and -phase at least 1s: see -help")
	}
	product, err := stack.Start(ctx, stack.Options{AuthServers: 1, Log: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, product.Stop()) }()

	key, err := mintKey(ctx, product)
	if err != nil {
		return err
	}
	measured, err := measure(ctx, product.AuthServers[0], key, opts)
	if err != nil {
		return err
	}
	return report(os.Stdout, measured)
}
