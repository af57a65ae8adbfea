// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"github.com/hexcovery/apikey-operator/hack/build"
)

// pins are what Binary can bring about: the folders below binaries, each of them a module
// that pins one program. Of each, the package that it is, and the module that has its version.
var pins = map[string]struct{ pkg, module string }{
	"caddy":            {"github.com/caddyserver/caddy/v2/cmd/caddy", "github.com/caddyserver/caddy/v2"},
	"prom-label-proxy": {"github.com/prometheus-community/prom-label-proxy", "github.com/prometheus-community/prom-label-proxy"},
	"prometheus":       {"github.com/prometheus/prometheus/cmd/prometheus", "github.com/prometheus/prometheus"},
	// Its program is in this repository, and made of that project's modules.
	"collector": {".", "go.opentelemetry.io/collector/otelcol"},
}

// Binaries are the names of what Binary can bring about.
func Binaries() []string { return slices.Sorted(maps.Keys(pins)) }

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
