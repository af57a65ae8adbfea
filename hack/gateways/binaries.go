// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/hexcovery/apikey-operator/hack/stack"
)

// What Binary can bring about: the folders below binaries, each of them a module that
// pins one program.
const (
	Caddy          = "caddy"
	PromLabelProxy = "prom-label-proxy"
	Prometheus     = "prometheus"
	Collector      = "collector"
)

// collectorModule has the version of the collector: its program is in this repository,
// and made of that project's modules.
const collectorModule = "go.opentelemetry.io/collector/otelcol"

// buildGrace is how long an interrupted build may take to end by itself.
const buildGrace = 10 * time.Second

// Binary returns the path of the program, which it builds at the version that is
// pinned if it is missing. log is told about that.
func Binary(ctx context.Context, program string, log io.Writer) (string, error) {
	root, err := stack.ModuleRoot(ctx)
	if err != nil {
		return "", err
	}
	module := filepath.Join(root, "hack", "gateways", "binaries", program)
	pkg, version, err := pinned(module)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", program, err)
	}
	path := filepath.Join(root, "bin", "gateways", program+"-"+version)
	if upToDate(path, module) {
		return path, nil
	}
	fmt.Fprintf(log, "gateways: building %s %s from its Go module; some minutes the first time\n", program, version)
	began := time.Now()
	cmd := exec.CommandContext(ctx, filepath.Join(root, "hack", "tools", "build.sh"), path, pkg, module)
	// Prometheus needs nothing here that finds targets in clouds, which is most of what
	// it would have to compile.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-tags=remove_all_sd")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = buildGrace
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build %s %s: %w", program, version, err)
	}
	fmt.Fprintf(log, "gateways: built %s in %.1f s\n", program, time.Since(began).Seconds())
	return path, nil
}

// upToDate reports whether a program was built after its module was changed last.
func upToDate(program, module string) bool {
	built, err := os.Stat(program)
	if err != nil || built.Mode()&0o111 == 0 {
		return false
	}
	for _, name := range []string{"go.mod", "main.go"} {
		source, err := os.Stat(filepath.Join(module, name))
		if err == nil && source.ModTime().After(built.ModTime()) {
			return false
		}
	}
	return true
}

// pinned returns the package that the module's one tool is, and the version of the
// module that it is from.
func pinned(module string) (pkg, version string, err error) {
	path := filepath.Join(module, "go.mod")
	data, err := os.ReadFile(path)
	if err != nil {
		return "", "", err
	}
	file, err := modfile.Parse(path, data, nil)
	if err != nil {
		return "", "", err
	}
	if len(file.Tool) != 1 {
		return "", "", fmt.Errorf("%s: has %d tools, want one", path, len(file.Tool))
	}
	pkg = file.Tool[0].Path
	from := pkg
	if pkg == file.Module.Mod.Path {
		from = collectorModule
	}
	for _, require := range file.Require {
		if from == require.Mod.Path || strings.HasPrefix(from, require.Mod.Path+"/") {
			return pkg, require.Mod.Version, nil
		}
	}
	return "", "", fmt.Errorf("%s: does not require the module of %s", path, pkg)
}
