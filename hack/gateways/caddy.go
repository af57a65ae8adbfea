// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"context"
	"net"
	"path/filepath"

	"github.com/hexcovery/apikey-operator/hack/process"
)

const caddyName = "caddy"

// StartCaddy starts the Caddy that is pinned.
func StartCaddy(ctx context.Context, options Options) (*Gateway, error) {
	return start(ctx, caddyName, options, onePort(func(at *place, options Options) (process.Launch, error) {
		program, err := Binary(ctx, Caddy, options.Log)
		if err != nil {
			return process.Launch{}, err
		}
		host, port, err := net.SplitHostPort(at.http)
		if err != nil {
			return process.Launch{}, err
		}
		return process.Launch{
			Path: program,
			Args: []string{"run", "--config", filepath.Join(options.Config, "Caddyfile"), "--adapter", "caddyfile"},
			Env: []string{
				"HEXCOVERY_SITE=:" + port, "HEXCOVERY_BIND=" + host,
				"APIKEY_AUTHSERVER=" + options.AuthServer,
				"HEXCOVERY_API=" + options.Upstream,
				"HEXCOVERY_GRPC=" + options.UpstreamGRPC,
				// Several may run at once, and none is to write outside its folder.
				"CADDY_ADMIN=off",
				"HOME=" + options.Dir, "XDG_CONFIG_HOME=" + options.Dir, "XDG_DATA_HOME=" + options.Dir,
			},
		}, nil
	}))
}
