// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/hexcovery/apikey-operator/hack/build"
)

// What Binary can bring about: the folders below binaries, each of them a module that
// pins one program.
const (
	Caddy          = "caddy"
	PromLabelProxy = "prom-label-proxy"
	Prometheus     = "prometheus"
	Collector      = "collector"
)

// pins are the package that each program is, and the module that has its version.
var pins = map[string]struct{ pkg, module string }{
	Caddy:          {"github.com/caddyserver/caddy/v2/cmd/caddy", "github.com/caddyserver/caddy/v2"},
	PromLabelProxy: {"github.com/prometheus-community/prom-label-proxy", "github.com/prometheus-community/prom-label-proxy"},
	Prometheus:     {"github.com/prometheus/prometheus/cmd/prometheus", "github.com/prometheus/prometheus"},
	// Its program is in this repository, and made of that project's modules.
	Collector: {".", "go.opentelemetry.io/collector/otelcol"},
}

// Binary returns the path of the program, which it builds at the version that is
// pinned if it is missing. log is told about that.
func Binary(ctx context.Context, program string, log io.Writer) (string, error) {
	root, err := build.Root()
	if err != nil {
		return "", err
	}
	module := filepath.Join(root, "hack", "gateways", "binaries", program)
	version, err := build.Pinned(module, pins[program].module)
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "gateways", program+"-"+version)
	err = build.Once(ctx, log, path, build.Spec{
		Name: fmt.Sprintf("%s %s", program, version), Module: module, Takes: "a few minutes",
		// Prometheus needs nothing here that finds targets in clouds, which is most of what
		// it would have to compile.
		Args: []string{"-tags=remove_all_sd", pins[program].pkg},
	})
	return path, err
}
