// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	modulePath = "github.com/hexcovery/apikey-operator"
	// heartbeat is how often a long build says that it is alive.
	heartbeat = 15 * time.Second
	// buildGrace is how long an interrupted go command may take to end by itself.
	buildGrace = 10 * time.Second
)

// Programs are the paths of the product's programs.
type Programs struct {
	Manager, AuthServer string
}

// Build makes the programs of the product from the working tree, in bin. The go
// command knows by itself what has not changed. log is told about progress.
func Build(ctx context.Context, log io.Writer) (Programs, error) {
	root, err := ModuleRoot(ctx)
	if err != nil {
		return Programs{}, err
	}
	fmt.Fprintln(log, "stack: building bin/manager and bin/authserver; some minutes the first time, a moment later on")
	return build(ctx, log, root, filepath.Join(root, "bin"))
}

// BuildWith is Build into the folder dir, from the working tree as the file overlay
// changes it: see -overlay in "go help build".
func BuildWith(ctx context.Context, log io.Writer, dir, overlay string) (Programs, error) {
	root, err := ModuleRoot(ctx)
	if err != nil {
		return Programs{}, err
	}
	return build(ctx, log, root, dir, "-overlay", overlay)
}

func build(ctx context.Context, log io.Writer, root, dir string, flags ...string) (Programs, error) {
	began := time.Now()
	// As make build does it. The slash at the end says that dir is a folder.
	arguments := append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Clean(dir) + "/"}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(arguments, modulePath+"/cmd/manager", modulePath+"/cmd/authserver")...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = buildGrace
	var output bytes.Buffer
	cmd.Stderr = &output

	done := beat(log, began)
	err := cmd.Run()
	done()
	switch {
	case ctx.Err() != nil:
		return Programs{}, fmt.Errorf("build: %w", context.Cause(ctx))
	case err != nil:
		return Programs{}, fmt.Errorf("build: %w\n%s", err, bytes.TrimSpace(output.Bytes()))
	}
	fmt.Fprintf(log, "stack: built in %.1f s\n", time.Since(began).Seconds())
	return Programs{Manager: filepath.Join(dir, "manager"), AuthServer: filepath.Join(dir, "authserver")}, nil
}

// beat says from time to time that the build goes on, until done is called.
func beat(log io.Writer, began time.Time) (done func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(heartbeat)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case now := <-ticker.C:
				fmt.Fprintf(log, "stack: building: %.0f s\n", now.Sub(began).Seconds())
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
	}
}

// ModuleRoot returns the folder of the product's go.mod, which the working
// directory has to be in.
func ModuleRoot(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", modulePath)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find the module %s from the working directory: %w", modulePath, err)
	}
	return strings.TrimSpace(string(output)), nil
}
