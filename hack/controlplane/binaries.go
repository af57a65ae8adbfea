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
	"slices"
	"strings"
	"time"

	"github.com/hexcovery/apikey-operator/hack/build"
)

// assetsVariable names a folder with etcd, kube-apiserver and kubectl: the convention of envtest and its tools.
const assetsVariable = "KUBEBUILDER_ASSETS"

// The programs of a control plane.
const (
	etcdProgram       = "etcd"
	apiServerProgram  = "kube-apiserver"
	kubectlProgram    = "kubectl"
	controllerProgram = "kube-controller-manager"
)

// envtestPrograms are those that envtest's archives have.
var envtestPrograms = []string{etcdProgram, apiServerProgram, kubectlProgram}

// Binaries are the paths of the programs of a control plane.
type Binaries struct {
	// Version of Kubernetes that the binaries module pins. What KUBEBUILDER_ASSETS brings may differ from it.
	Version string

	Etcd, KubeAPIServer, Kubectl string
	// KubeControllerManager may lie in another folder than the rest: envtest's archives do not have it.
	KubeControllerManager string
}

// Dir is the folder of etcd, kube-apiserver and kubectl, fit to be the value of KUBEBUILDER_ASSETS.
func (b Binaries) Dir() string { return filepath.Dir(b.KubeAPIServer) }

// Provision returns the binaries, after it has brought about those that are missing: see the package documentation for
// where they come from. It tells log, which may be nil, about everything that takes long. It is safe to be called by
// several processes at once; one works, the others wait for what it makes.
func Provision(ctx context.Context, log io.Writer) (Binaries, error) {
	p, err := newProvisioner(log)
	if err != nil {
		return Binaries{}, err
	}
	return p.provision(ctx)
}

// provisioner finds or makes binaries. Its fields are what a test replaces.
type provisioner struct {
	version string
	// assets is the value of KUBEBUILDER_ASSETS.
	assets string
	// bin is the folder with the folder of every version.
	bin string
	// module is the folder of the binaries module.
	module string
	// goTool and heartbeat are those of build.Spec.
	goTool    string
	heartbeat time.Duration
	log       io.Writer
}

func newProvisioner(log io.Writer) (*provisioner, error) {
	root, err := build.Root()
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = io.Discard
	}
	module := filepath.Join(root, "hack", "controlplane", "binaries")
	// The one place that says the version of Kubernetes.
	version, err := build.Pinned(module, "k8s.io/kubernetes")
	return &provisioner{version: version, assets: os.Getenv(assetsVariable), bin: filepath.Join(root, "bin"), module: module, goTool: "go", log: log}, err
}

// folder is where the binaries of this version and platform are kept.
func (p *provisioner) folder() string {
	return filepath.Join(p.bin, "k8s", fmt.Sprintf("%s-%s-%s", p.version, runtime.GOOS, runtime.GOARCH))
}

// path says where a program is or, if it is missing, where it will be.
func (p *provisioner) path(program string) string {
	if p.assets != "" {
		if path := filepath.Join(p.assets, program); slices.Contains(envtestPrograms, program) || isExecutable(path) {
			return path
		}
	}
	return filepath.Join(p.folder(), program)
}

func (p *provisioner) provision(ctx context.Context) (Binaries, error) {
	if err := p.checkAssets(); err != nil {
		return Binaries{}, err
	}
	if len(p.missing()) > 0 {
		if err := p.makeMissing(ctx); err != nil {
			return Binaries{}, fmt.Errorf("provision Kubernetes %s: %w", p.version, err)
		}
	}
	return Binaries{
		Version:               p.version,
		Etcd:                  p.path(etcdProgram),
		KubeAPIServer:         p.path(apiServerProgram),
		Kubectl:               p.path(kubectlProgram),
		KubeControllerManager: p.path(controllerProgram),
	}, nil
}

// checkAssets refuses a KUBEBUILDER_ASSETS that lacks something: who set it does not want it to be ignored silently.
func (p *provisioner) checkAssets() error {
	if p.assets == "" {
		return nil
	}
	if !filepath.IsAbs(p.assets) {
		return fmt.Errorf("%s=%s: want an absolute path", assetsVariable, p.assets)
	}
	var errs []error
	for _, program := range envtestPrograms {
		if !isExecutable(p.path(program)) {
			errs = append(errs, fmt.Errorf("%s=%s: no executable %s there", assetsVariable, p.assets, program))
		}
	}
	return errors.Join(errs...)
}

func (p *provisioner) missing() []string {
	return slices.DeleteFunc(append(slices.Clone(envtestPrograms), controllerProgram), func(program string) bool {
		return isExecutable(p.path(program))
	})
}

// makeMissing downloads or builds what is missing, one process at a time.
func (p *provisioner) makeMissing(ctx context.Context) error {
	lock, err := p.spec().Lock(ctx, p.log, p.folder()+".lock")
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	missing := p.missing() // Another process may have made them while this one waited.
	if len(missing) == 0 {
		return nil
	}
	if err := os.MkdirAll(p.folder(), 0o755); err != nil {
		return err
	}
	if missing[0] != controllerProgram {
		if err := p.download(ctx); err != nil {
			fmt.Fprintf(p.log, "controlplane: no download (%v): building from Go modules\n", err)
		}
	}
	return p.build(ctx, p.missing())
}

func (p *provisioner) spec() build.Spec {
	return build.Spec{Name: "Kubernetes " + p.version, Module: p.module, Go: p.goTool, Heartbeat: p.heartbeat}
}

// build makes one program that is all of those that are missing, and has their names lead to it.
func (p *provisioner) build(ctx context.Context, missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	spec := p.spec()
	spec.Takes = "about 6 minutes"
	spec.Args = []string{"-ldflags", linkerFlags(p.version)}
	together := "kubernetes"
	if slices.Equal(missing, []string{controllerProgram}) {
		spec.Takes = "2 to 5 minutes"
		spec.Args = append(spec.Args, "-tags=envtest")
		together += "-without-envtest"
	}
	program := filepath.Join(p.folder(), together)
	if err := build.Once(ctx, p.log, program, spec); err != nil {
		return err
	}
	for _, name := range missing {
		if err := leadTo(program, filepath.Join(p.folder(), name)); err != nil {
			return err
		}
	}
	return nil
}

// linkerFlags stamp the version that the components report: built from a module they would call themselves v0.0.0, which
// kubectl and feature gates by version refuse.
func linkerFlags(version string) string {
	const pkg = "k8s.io/component-base/version"
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	flags := fmt.Sprintf("-s -w -X %s.gitVersion=%s", pkg, version)
	if len(parts) == 3 {
		flags += fmt.Sprintf(" -X %s.gitMajor=%s -X %s.gitMinor=%s", pkg, parts[0], pkg, parts[1])
	}
	return flags
}

// leadTo makes a symbolic link to the program appear at path, at once, whatever is there.
func leadTo(program, path string) error {
	if !isExecutable(program) {
		return fmt.Errorf("no executable %s", program)
	}
	target, err := filepath.Rel(filepath.Dir(path), program)
	if err != nil {
		return err
	}
	partial := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".partial")
	if err := errors.Join(os.RemoveAll(partial), os.Symlink(target, partial)); err != nil {
		return err
	}
	return os.Rename(partial, path)
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
