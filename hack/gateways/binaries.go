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
)

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
	if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
		return path, nil
	}
	fmt.Fprintf(log, "gateways: building %s %s from its Go module; some minutes the first time\n", program, version)
	began := time.Now()
	cmd := exec.CommandContext(ctx, filepath.Join(root, "hack", "tools", "build.sh"), path, pkg, module)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = buildGrace
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build %s %s: %w", program, version, err)
	}
	fmt.Fprintf(log, "gateways: built %s in %.1f s\n", program, time.Since(began).Seconds())
	return path, nil
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
	for _, require := range file.Require {
		if pkg == require.Mod.Path || strings.HasPrefix(pkg, require.Mod.Path+"/") {
			return pkg, require.Mod.Version, nil
		}
	}
	return "", "", fmt.Errorf("%s: does not require the module of %s", path, pkg)
}
