// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	// heartbeat is how often what takes long says that it is alive.
	heartbeat = 15 * time.Second
	// grace is how long an interrupted go command may take to end by itself.
	grace = 10 * time.Second
)

// Spec says what to build.
type Spec struct {
	// Name is what people call it.
	Name string
	// Module is the folder of the module to build from.
	Module string
	// Args are what go build is told besides: flags, and after them packages.
	Args []string
	// Takes is how long a first build takes on a small machine, for people who wait.
	Takes string

	// Go is the go command; empty for the one in $PATH.
	Go string
	// Heartbeat is how often it says how far it is; 0 is every 15 seconds.
	Heartbeat time.Duration
}

// Run runs go build, which knows by itself what has not changed. log is told about
// progress. When ctx ends, so does the build, with the cause as its error.
func Run(ctx context.Context, log io.Writer, spec Spec) error { return spec.run(ctx, log, nil) }

// Once builds one program at path, if it is missing or older than what is in the folder of
// its module. Of several processes one works, and the others wait for what it makes.
func Once(ctx context.Context, log io.Writer, path string, spec Spec) error {
	if upToDate(path, spec.Module) {
		return nil
	}
	lock, err := spec.lock(ctx, log, path+".lock")
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if upToDate(path, spec.Module) {
		return nil // Another process has made it while this one waited.
	}
	// The lock makes this name ours. What an interrupted build left is removed, for the go
	// command refuses to overwrite what it does not recognize as an object file.
	partial := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".partial")
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	spec.Args = append([]string{"-o", partial}, spec.Args...)
	if err := spec.run(ctx, log, lock); err != nil {
		return errors.Join(err, os.RemoveAll(partial))
	}
	// Newer than go.mod also where there was nothing to compile.
	now := time.Now()
	return errors.Join(os.Chtimes(partial, now, now), os.Rename(partial, path))
}

// upToDate reports whether a program was built after its module was changed last.
func upToDate(program, module string) bool {
	built, err := os.Stat(program)
	if err != nil || !built.Mode().IsRegular() || built.Mode()&0o111 == 0 {
		return false
	}
	sources, _ := filepath.Glob(filepath.Join(module, "*.*")) // the pattern is well-formed
	for _, name := range sources {
		source, err := os.Stat(name)
		if err == nil && source.ModTime().After(built.ModTime()) {
			return false
		}
	}
	return true
}

// run has the build inherit the lock, if there is one: a build that outlives a killed
// parent keeps others away from what it writes.
func (s Spec) run(ctx context.Context, log io.Writer, lock *os.File) error {
	fmt.Fprintf(log, "build: %s from Go modules; %s the first time\n", s.Name, s.Takes)
	began := time.Now()
	cmd := exec.CommandContext(ctx, cmp.Or(s.Go, "go"), append([]string{"build", "-v", "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags=-s -w"}, s.Args...)...)
	cmd.Dir = s.Module
	cmd.Env = append(os.Environ(), environment()...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = grace
	if lock != nil {
		cmd.ExtraFiles = []*os.File{lock}
	}
	output := &output{}
	cmd.Stderr = output
	err := s.beat(func(elapsed time.Duration) {
		progress, _ := output.read()
		fmt.Fprintf(log, "build: %s: %.0f s, %s\n", s.Name, elapsed.Seconds(), progress)
	}, cmd.Run)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("build %s: %w", s.Name, context.Cause(ctx))
	case err != nil:
		_, last := output.read()
		return fmt.Errorf("build %s: %w\n%s", s.Name, err, last)
	}
	fmt.Fprintf(log, "build: %s: done in %.1f s\n", s.Name, time.Since(began).Seconds())
	return nil
}

// beat runs work and calls say from time to time until it has returned, so that silence
// always means something is wrong.
func (s Spec) beat(say func(elapsed time.Duration), work func() error) error {
	ticker := time.NewTicker(cmp.Or(s.Heartbeat, heartbeat))
	defer ticker.Stop()
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- work() }()
	for {
		select {
		case err := <-done:
			return err
		case now := <-ticker.C:
			say(now.Sub(began))
		}
	}
}
