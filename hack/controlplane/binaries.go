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
	"time"
)

// assetsVariable names a folder with etcd, kube-apiserver and kubectl: the convention of envtest and its tools.
const assetsVariable = "KUBEBUILDER_ASSETS"

// heartbeatInterval is how often a long build says that it is alive.
const heartbeatInterval = 15 * time.Second

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

// binary is a program, and where its main package is.
type binary struct {
	name string
	pkg  string
	// inEnvtest says that envtest's archives have it.
	inEnvtest bool
	// coldBuild is what a first build takes on a small machine, for people who wait.
	coldBuild string
}

var (
	etcdBinary       = binary{"etcd", "go.etcd.io/etcd/server/v3", true, "a minute"}
	apiServerBinary  = binary{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", true, "5 minutes"}
	controllerBinary = binary{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", false, "2 to 5 minutes"}
	kubectlBinary    = binary{"kubectl", "k8s.io/kubernetes/cmd/kubectl", true, "a minute"}
)

// Provision returns the binaries, after it has brought about those that are missing: see the package documentation for
// where they come from. It tells progress, which may be nil, about everything that takes long. It is safe to be called by
// several processes at once; one works, the others wait for what it makes.
func Provision(ctx context.Context, progress io.Writer) (Binaries, error) {
	p, err := newProvisioner(progress)
	if err != nil {
		return Binaries{}, err
	}
	return p.provision(ctx, etcdBinary, apiServerBinary, kubectlBinary, controllerBinary)
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
	// goTool is the go command.
	goTool    string
	heartbeat time.Duration
	say       *progress
}

func newProvisioner(progress io.Writer) (*provisioner, error) {
	root, err := repositoryRoot()
	if err != nil {
		return nil, err
	}
	module := filepath.Join(root, binariesModule)
	version, err := kubernetesVersion(module)
	if err != nil {
		return nil, err
	}
	return &provisioner{
		version:   version,
		assets:    os.Getenv(assetsVariable),
		bin:       filepath.Join(root, "bin"),
		module:    module,
		goTool:    "go",
		heartbeat: heartbeatInterval,
		say:       newProgress(progress),
	}, nil
}

// folder is where the binaries of this version and platform are kept.
func (p *provisioner) folder() string {
	return filepath.Join(p.bin, "k8s", fmt.Sprintf("%s-%s-%s", p.version, runtime.GOOS, runtime.GOARCH))
}

// path says where a binary is or, if it is missing, where it will be.
func (p *provisioner) path(b binary) string {
	if p.assets != "" {
		if path := filepath.Join(p.assets, b.name); b.inEnvtest || isExecutable(path) {
			return path
		}
	}
	return filepath.Join(p.folder(), b.name)
}

func (p *provisioner) provision(ctx context.Context, wanted ...binary) (Binaries, error) {
	if err := p.checkAssets(wanted); err != nil {
		return Binaries{}, err
	}
	if len(p.missing(wanted)) > 0 {
		if err := p.makeMissing(ctx, wanted); err != nil {
			return Binaries{}, fmt.Errorf("provision Kubernetes %s: %w", p.version, err)
		}
	}
	return Binaries{
		Version:               p.version,
		Etcd:                  p.path(etcdBinary),
		KubeAPIServer:         p.path(apiServerBinary),
		Kubectl:               p.path(kubectlBinary),
		KubeControllerManager: p.path(controllerBinary),
	}, nil
}

// checkAssets refuses a KUBEBUILDER_ASSETS that lacks something: who set it does not want it to be ignored silently.
func (p *provisioner) checkAssets(wanted []binary) error {
	if p.assets == "" {
		return nil
	}
	if !filepath.IsAbs(p.assets) {
		return fmt.Errorf("%s=%s: want an absolute path", assetsVariable, p.assets)
	}
	var errs []error
	for _, b := range wanted {
		if b.inEnvtest && !isExecutable(filepath.Join(p.assets, b.name)) {
			errs = append(errs, fmt.Errorf("%s=%s: no executable %s there", assetsVariable, p.assets, b.name))
		}
	}
	return errors.Join(errs...)
}

func (p *provisioner) missing(wanted []binary) []binary {
	var missing []binary
	for _, b := range wanted {
		if !isExecutable(p.path(b)) {
			missing = append(missing, b)
		}
	}
	return missing
}

// makeMissing downloads or builds what is missing, one process at a time.
func (p *provisioner) makeMissing(ctx context.Context, wanted []binary) error {
	lock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()

	missing := p.missing(wanted) // Another process may have made them while this one waited.
	if len(missing) == 0 {
		p.say.sayf("found what the other process has made")
		return nil
	}
	if err := os.MkdirAll(p.folder(), 0o755); err != nil {
		return err
	}
	if slices.ContainsFunc(missing, func(b binary) bool { return b.inEnvtest }) {
		if err := p.download(ctx, missing); err != nil {
			p.say.sayf("no download (%v): building from Go modules", err)
		}
	}
	for _, b := range p.missing(wanted) {
		if err := p.build(ctx, b, lock); err != nil {
			return err
		}
	}
	return nil
}

// lock lets one process at a time make binaries of this version.
func (p *provisioner) lock(ctx context.Context) (lock *os.File, err error) {
	err = during(p.heartbeat, func(elapsed time.Duration) {
		p.say.sayf("still waiting: %s", seconds(elapsed.Round(time.Second)))
	}, func() error {
		lock, err = acquireLock(ctx, p.folder()+".lock", func() {
			p.say.sayf("waiting for another process that is making Kubernetes %s in %s", p.version, p.folder())
		})
		return err
	})
	return lock, err
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
