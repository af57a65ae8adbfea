// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	// Upstream is what lies behind: HTTP/1.1 and, for gRPC, HTTP/2.
	Upstream string
	// Dir is for the logs of the gateway and what it writes. Its user is this
	// process' user.
	Dir string
	// Config is the folder of its configuration; empty for that of config/gateways.
	Config string
	// Log is told about builds.
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
	// Name is that of its folder in config/gateways.
	Name string

	// onePort: it speaks HTTP/1.1 and HTTP/2 at the same address.
	onePort bool
	// launch says how it is started at some place.
	launch func(context.Context, place, Options) (process.Launch, error)
}

// place is where a gateway speaks with its clients, and an address to spare.
type place struct{ http, h2c, spare string }

// All are the gateways that there are.
func All() []Program { return []Program{Nginx, IngressNginx, HAProxy, Caddy} }

// Start starts the gateway on free ports.
func (p Program) Start(ctx context.Context, options Options) (*Gateway, error) {
	if err := options.complete(p.Name); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	return process.StartOnFreePorts(ctx, 3, func(addresses []string) (*Gateway, error) {
		at := place{http: addresses[0], h2c: addresses[1], spare: addresses[2]}
		if p.onePort {
			at.h2c = at.http
		}
		launching, err := p.launch(ctx, at, options)
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", p.Name, err)
		}
		// The names that the files of config/gateways give.
		launching.Env = append(launching.Env,
			"APIKEY_AUTHSERVER="+options.AuthServer, "HEXCOVERY_API="+options.Upstream, "HEXCOVERY_GRPC="+options.Upstream)
		return &Gateway{
			Name: p.Name, HTTP: at.http, H2C: at.h2c,
			Process: process.New(p.Name, options.Dir, launching, process.Listens(at.http, at.h2c)),
		}, nil
	})
}

func (o *Options) complete(name string) error {
	if o.Dir == "" {
		return errors.New("Options.Dir is not set")
	}
	if o.Config != "" {
		return nil
	}
	root, err := build.Root()
	o.Config = filepath.Join(root, "config", "gateways", name)
	return err
}

// Stop ends the gateway. That it had ended before is an error.
func (g *Gateway) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return g.Process.Stop(ctx)
}

// installed finds a program of the distribution, whose package has the same name. Debian
// keeps some in folders that are not in everybody's PATH.
func installed(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		if path, outside := exec.LookPath(filepath.Join("/usr/sbin", program)); outside == nil {
			return path, nil
		}
		err = errors.Join(fmt.Errorf("%s is not installed: apt-get install %s", program, program), err)
	}
	return path, err
}
