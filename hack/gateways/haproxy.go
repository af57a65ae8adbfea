// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"context"
	"path/filepath"

	"github.com/hexcovery/apikey-operator/hack/process"
)

const haproxyName = "haproxy"

// StartHAProxy starts the distribution's HAProxy.
func StartHAProxy(ctx context.Context, options Options) (*Gateway, error) {
	return start(ctx, haproxyName, options, onePort(func(at *place, options Options) (process.Launch, error) {
		program, err := installed("haproxy", "haproxy")
		if err != nil {
			return process.Launch{}, err
		}
		return process.Launch{
			Path: program,
			// -db: in the foreground.
			Args: []string{"-db", "-f", filepath.Join(options.Config, "haproxy.cfg")},
			// SIGTERM ends it at once, SIGUSR1 once its connections have ended.
			DiesOfTerm: true,
			Env: []string{
				"HEXCOVERY_BIND=" + at.http,
				"HEXCOVERY_ASK=" + at.spare,
				"HEXCOVERY_LUA=" + filepath.Join(options.Config, "hexcovery-auth.lua"),
				"APIKEY_AUTHSERVER=" + options.AuthServer,
				"HEXCOVERY_API=" + options.Upstream,
				"HEXCOVERY_GRPC=" + options.UpstreamGRPC,
			},
		}, nil
	}))
}
