// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// commands measure something each. Their flags are beside them.
var commands = map[string]struct {
	flags *flag.FlagSet
	run   func(context.Context) error
}{
	"lifecycle": {lifecycleFlags, lifecycle},
	"flood":     {floodFlags, flood},
}

func main() {
	log.SetLogger(logr.Discard())
	flag.Parse()
	command, ok := commands[flag.Arg(0)]
	if !ok {
		note("say first what to measure: lifecycle or flood")
		os.Exit(2)
	}
	_ = command.flags.Parse(flag.Args()[1:]) // It exits where that fails.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command.run(ctx)
	stop()
	if err != nil {
		note("%v", err)
		os.Exit(1)
	}
}

// note says on standard error how it goes.
func note(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
