// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/hexcovery/apikey-operator/hack/controlplane"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

// replicas is how many auth servers there are.
const replicas = 2

// options are the flags.
type options struct {
	check bool
	dir   string
}

func main() {
	var opts options
	flag.BoolVar(&opts.check, "check", false, "end after the last step instead of staying up")
	flag.StringVar(&opts.dir, "dir", "", "folder for data and logs, which stays; by default a temporary one")
	flag.Parse()

	terminal := term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
	opts.check = opts.check || !terminal
	out := newPrinter(os.Stdout, terminal && os.Getenv("NO_COLOR") == "")
	// The terminal that goes away takes the demo with it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, opts, out)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil:
	case interrupted:
		fmt.Fprintln(os.Stderr, "demo: interrupted")
		os.Exit(1)
	default:
		fmt.Fprintf(os.Stderr, "\ndemo: FAILED: %v\ndemo: run it again with -dir FOLDER to keep all logs\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, opts options, out *printer) (err error) {
	began := time.Now()
	out.say("The life of an API key. All of it runs here, on 127.0.0.1: a Kubernetes control plane, the manager,")
	out.say("two auth servers with the built-in proxy, and behind that a stand-in for the Hexcovery API.")
	out.blank()
	api, err := startStandIn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, api.stop()) }()
	product, err := stack.Start(ctx, stack.Options{
		// The audit log knows when the API server answered kubectl.
		ControlPlane: controlplane.Options{AuditLog: true, Dir: opts.dir},
		AuthServers:  replicas,
		Upstream:     api.url(),
		Log:          out.notes(),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, product.Stop()) }()

	w := &walk{product: product, api: api, out: out}
	if err := w.walk(ctx); err != nil {
		if ctx.Err() == nil {
			w.explain(ctx)
		}
		return err
	}
	out.blank()
	out.say(fmt.Sprintf("Every answer was right. It took %.0f s.", time.Since(began).Seconds()))
	if !opts.check {
		stayUp(ctx, product, out)
	}
	return nil
}

// stayUp tells a person how to go on, and waits for Ctrl-C.
func stayUp(ctx context.Context, product *stack.Stack, out io.Writer) {
	kubectl := product.ControlPlane.Kubectl(ctx).Path
	fmt.Fprintf(out, "\nEverything stays up until Ctrl-C. In another terminal, in the same folder:\n\n")
	fmt.Fprintf(out, "    export KUBECONFIG=%s\n", product.ControlPlane.AdminKubeconfig())
	fmt.Fprintf(out, "    export PATH=%s:$PATH\n", filepath.Dir(kubectl))
	fmt.Fprintf(out, "    kubectl apply --server-side -k config/samples\n")
	fmt.Fprintf(out, "    kubectl get apikeys --all-namespaces\n\n")
	for i, server := range product.AuthServers {
		fmt.Fprintf(out, "    auth server %d: requests %s   gateways %s   metrics %s/metrics\n", i+1, server.Proxy, server.Gateways, server.Operations)
	}
	fmt.Fprintf(out, "    manager:                                                                    metrics %s/metrics\n", product.Manager.Metrics)
	fmt.Fprintf(out, "    logs:          %s\n", product.ControlPlane.LogDir())
	<-ctx.Done()
	fmt.Fprintln(out, "\nStopping everything.")
}
