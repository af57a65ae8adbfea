// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/hexcovery/apikey-operator/hack/build"
)

// The programs of a control plane.
const (
	etcdProgram       = "etcd"
	apiServerProgram  = "kube-apiserver"
	kubectlProgram    = "kubectl"
	controllerProgram = "kube-controller-manager"

	// allPrograms is the one that is all of them. The name that it is called by says which.
	allPrograms = "kubernetes"
)

// Binaries are the programs of a control plane.
type Binaries struct {
	// Version of Kubernetes that the binaries module pins.
	Version string
	// Dir is the folder where they are, each under its name.
	Dir string
}

// Path is where a program is.
func (b Binaries) Path(program string) string { return filepath.Join(b.Dir, program) }

// Provision returns the binaries, after it has built them where they are missing or not up to date. It tells log how far that
// is. It is safe to be called by several processes at once; one works, the others wait for what it makes.
func Provision(ctx context.Context, log io.Writer) (Binaries, error) {
	binaries, spec, err := pinned()
	if err != nil {
		return Binaries{}, err
	}
	return binaries, binaries.provision(ctx, log, spec)
}

// pinned returns the binaries of this repository, and what they are built from.
func pinned() (Binaries, build.Spec, error) {
	root, err := build.Root()
	if err != nil {
		return Binaries{}, build.Spec{}, err
	}
	module := filepath.Join(root, "hack", "controlplane", "binaries")
	// The one place that says the version of Kubernetes.
	version, err := build.Pinned(module, "k8s.io/kubernetes")
	return Binaries{
		Version: version,
		Dir:     filepath.Join(root, "bin", "k8s", fmt.Sprintf("%s-%s-%s", version, runtime.GOOS, runtime.GOARCH)),
	}, build.Spec{Module: module}, err
}

// provision builds the one program, and has the names of all lead to it.
func (b Binaries) provision(ctx context.Context, log io.Writer, spec build.Spec) error {
	spec.Name, spec.Takes = "Kubernetes "+b.Version, "about 6 minutes"
	spec.Args = []string{"-ldflags", linkerFlags(b.Version)}
	if err := build.Once(ctx, log, b.Path(allPrograms), spec); err != nil {
		return err
	}
	for _, program := range []string{etcdProgram, apiServerProgram, kubectlProgram, controllerProgram} {
		if leadsTo, _ := os.Readlink(b.Path(program)); leadsTo == allPrograms {
			continue
		}
		if err := os.RemoveAll(b.Path(program)); err != nil {
			return err
		}
		// Another process may just have made it.
		if err := os.Symlink(allPrograms, b.Path(program)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// linkerFlags stamp the version that the components report: built from a module they would call themselves v0.0.0, which
// kubectl and feature gates by version refuse.
func linkerFlags(version string) string {
	major, minor, _ := strings.Cut(strings.TrimPrefix(semver.MajorMinor(version), "v"), ".")
	return fmt.Sprintf("-s -w -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s",
		"k8s.io/component-base/version", version, major, minor)
}
