// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo shows the life of a key, on this machine only: a Kubernetes control
// plane, the manager, two auth servers with the built-in proxy, and behind it a
// small stand-in for the Hexcovery API.
//
// The steps are in life.txt: commands, which a shell runs as they are printed, and what
// has to come of them. Whatever else comes ends the demo with a failure. It needs curl,
// and never prints a key that it was given.
//
// On a terminal everything stays up at the end, to be played with, until Ctrl-C.
// With -check, or without a terminal, it ends.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/signal"
	"syscall"
	"text/template"
	"time"

	"golang.org/x/term"

	"github.com/hexcovery/apikey-operator/hack/controlplane"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

// stay tells a person how to go on when everything stays up.
//
//go:embed stay.txt
var stay string

func main() {
	check := flag.Bool("check", false, "end after the last step instead of staying up")
	dir := flag.String("dir", "", "folder for data and logs, which stays; by default a temporary one")
	flag.Parse()
	terminal := term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
	w := &walk{out: os.Stdout, keys: map[string]string{}}
	// The terminal that goes away takes the demo with it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, w, *dir, terminal && !*check); err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: FAILED: %v\ndemo: run it again with -dir FOLDER to keep all logs\n", errors.Join(context.Cause(ctx), err))
		os.Exit(1)
	}
}

func run(ctx context.Context, w *walk, dir string, stays bool) (err error) {
	began := time.Now()
	w.say("The life of an API key. All of it runs here, on 127.0.0.1: a Kubernetes control plane, the manager,")
	w.say("two auth servers with the built-in proxy, and behind that a stand-in for the Hexcovery API.\n")
	api := httptest.NewServer(&standIn{annotations: map[string][]object{}})
	defer api.Close()
	w.product, err = stack.Start(ctx, stack.Options{
		// The audit log knows when the API server answered kubectl.
		ControlPlane: controlplane.Options{AuditLog: true, Dir: dir},
		AuthServers:  2,
		Upstream:     api.URL,
		Log:          os.Stdout,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.product.Stop()) }()
	kubectl := w.product.ControlPlane.Kubectl(ctx)
	w.dir, w.environment = kubectl.Dir, append(kubectl.Env,
		"PATH="+w.product.ControlPlane.Binaries.Dir+":"+os.Getenv("PATH"),
		"AUTH_SERVER_1="+w.product.AuthServers[0].Proxy,
		"AUTH_SERVER_2="+w.product.AuthServers[1].Proxy,
		"LOGS="+w.product.ControlPlane.LogDir(),
		"STAND_IN="+api.URL,
		"no_proxy=127.0.0.1")
	if err := w.walk(ctx); err != nil {
		return err
	}
	w.say(fmt.Sprintf("\nEvery answer was right. It took %.0f s.", time.Since(began).Seconds()))
	if stays {
		err = template.Must(template.New("").Parse(stay)).Execute(w.out, w.product)
		<-ctx.Done()
		w.say("\nStopping everything.")
	}
	return err
}
