// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hexcovery/apikey-operator/hack/build"
	"github.com/hexcovery/apikey-operator/hack/process"
)

// stopTimeout bounds the end of a gateway.
const stopTimeout = 10 * time.Second

// Options say what a gateway stands before. Addresses are host:port, without TLS.
type Options struct {
	// AuthServer is where gateways ask.
	AuthServer string
	// Upstream is for all but gRPC: HTTP/1.1.
	Upstream string
	// UpstreamGRPC is for gRPC: HTTP/2 without TLS. Empty for Upstream.
	UpstreamGRPC string
	// Dir is for the logs of the gateway and what it writes. Its user is this
	// process' user.
	Dir string
	// Config is the folder of its configuration; empty for that of config/gateways.
	Config string
	// Log is told about builds. Nil is silent.
	Log io.Writer
}

// Gateway is a gateway that runs.
type Gateway struct {
	// Name is that of its folder in config/gateways.
	Name string
	// HTTP is the host:port where it speaks HTTP/1.1 with clients.
	HTTP string
	// H2C is the host:port where it speaks HTTP/2 without TLS with clients. It may
	// be the same.
	H2C string
	// Process is what runs.
	*process.Process
}

// Program is a gateway that can be started.
type Program struct {
	Name  string
	Start func(context.Context, Options) (*Gateway, error)
}

// All are the gateways that there are.
func All() []Program {
	return []Program{
		{Name: nginxName, Start: StartNginx},
		{Name: ingressNginxName, Start: StartIngressNginx},
		{Name: haproxyName, Start: StartHAProxy},
		{Name: caddyName, Start: StartCaddy},
	}
}

// Stop ends the gateway. That it had ended before is an error.
func (g *Gateway) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return g.Process.Stop(ctx)
}

// place is where a gateway speaks with its clients, and an address to spare.
type place struct{ http, h2c, spare string }

// launch says how a gateway is started at some place. One that speaks HTTP/1.1 and
// HTTP/2 at the same address makes its place so.
type launch func(*place, Options) (process.Launch, error)

// onePort is for gateways that speak both at one address.
func onePort(launch launch) launch {
	return func(at *place, options Options) (process.Launch, error) {
		at.h2c = at.http
		return launch(at, options)
	}
}

// start starts a gateway on free ports.
func start(ctx context.Context, name string, options Options, launch launch) (*Gateway, error) {
	if err := options.complete(name); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return process.StartOnFreePorts(ctx, 3, func(addresses []string) (*Gateway, error) {
		at := &place{http: addresses[0], h2c: addresses[1], spare: addresses[2]}
		launching, err := launch(at, options)
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", name, err)
		}
		return &Gateway{Name: name, HTTP: at.http, H2C: at.h2c, Process: process.New(name, options.Dir, launching, process.Listens(at.http, at.h2c))}, nil
	})
}

func (o *Options) complete(name string) error {
	if o.Dir == "" {
		return errors.New("Options.Dir is not set")
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.UpstreamGRPC == "" {
		o.UpstreamGRPC = o.Upstream
	}
	if o.Config != "" {
		return nil
	}
	root, err := build.Root()
	o.Config = filepath.Join(root, "config", "gateways", name)
	return err
}

// installed finds a program of the distribution. Debian keeps some in folders that
// are not in everybody's PATH.
func installed(program, debianPackage string) (string, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		return path, nil
	}
	if info, err := os.Stat(filepath.Join("/usr/sbin", program)); err == nil && info.Mode()&0o111 != 0 {
		return filepath.Join("/usr/sbin", program), nil
	}
	return "", errors.Join(fmt.Errorf("%s is not installed: apt-get install %s", program, debianPackage), err)
}
