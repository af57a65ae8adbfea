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
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	// startTimeout bounds the start of one program. It takes seconds; a machine that runs other tests too may need longer.
	startTimeout = time.Minute
	// stopTimeout bounds the graceful end of one program.
	stopTimeout = 20 * time.Second
	// pollInterval is how often readiness is asked for.
	pollInterval = 50 * time.Millisecond
)

// Options say what to start. The zero value is a control plane with everything but an audit log.
type Options struct {
	// WithoutControllerManager leaves out kube-controller-manager, which saves a second and 80 MB. Then nothing is
	// collected by owner reference, namespaces stay Terminating, and no ServiceAccount is made in a new namespace.
	WithoutControllerManager bool

	// AuditLog makes kube-apiserver log every request, for [ControlPlane.AuditEvents].
	AuditLog bool

	// EtcdLink has kube-apiserver reach etcd through a proxy, for [ControlPlane.HoldEtcdWatches].
	EtcdLink bool

	// Dir is for data and logs; what an earlier control plane left there is removed at the start. Empty means a temporary
	// folder that goes away on Stop, or when this process dies.
	Dir string

	// Log is told about progress: provisioning may take minutes the first time. Nil is silent.
	Log io.Writer

	// APIServerFlags, such as "--feature-gates=Name=true", override the defaults; repeat a flag for several values.
	APIServerFlags []string

	// Apply are kustomizations, by path from the root of the repository, that are applied before kube-controller-manager
	// starts, as by [ControlPlane.Apply]. Custom resources are known to the garbage collector at once if their definitions
	// are applied here; otherwise it was seen to take 40 seconds until it looked for new kinds.
	Apply []string
}

// ControlPlane is a running Kubernetes without nodes. Its methods may be called from several goroutines, except Stop and
// what fails or restarts a program, which nothing else should race with.
type ControlPlane struct {
	root      string
	dir       string
	temporary bool
	auditLog  bool
	binaries  Binaries
	say       *progress

	lifeline   *lifeline
	etcdLink   *etcdLink
	plane      *envtest.ControlPlane
	logs       []io.Closer
	controller *process
	admin      *rest.Config
	client     client.Client

	stopOnce sync.Once
	stopErr  error
}

// Start provisions the binaries and starts a control plane on loopback ports of its own. It returns when the API server is
// ready and the controllers work. ctx bounds the start only: what has been started runs until Stop.
func Start(ctx context.Context, opts Options) (_ *ControlPlane, err error) {
	cp, err := newControlPlane(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start control plane: %w", err), cp.Stop())
		}
	}()

	began := time.Now()
	if err := cp.prepareDir(); err != nil {
		return nil, err
	}
	if err := cp.startAPIServer(ctx, opts); err != nil {
		return nil, err
	}
	serving := time.Since(began)
	for _, kustomization := range opts.Apply {
		if err := cp.Apply(ctx, kustomization); err != nil {
			return nil, err
		}
	}
	if !opts.WithoutControllerManager {
		if err := cp.startControllerManager(ctx); err != nil {
			return nil, err
		}
	}
	cp.say.sayf("Kubernetes %s is ready in %s (API server %s) at %s",
		cp.binaries.Version, seconds(time.Since(began)), seconds(serving), cp.admin.Host)
	return cp, nil
}

func newControlPlane(ctx context.Context, opts Options) (*ControlPlane, error) {
	p, err := newProvisioner(opts.Log)
	if err != nil {
		return nil, err
	}
	wanted := []binary{etcdBinary, apiServerBinary, kubectlBinary}
	if !opts.WithoutControllerManager {
		wanted = append(wanted, controllerBinary)
	}
	binaries, err := p.provision(ctx, wanted...)
	if err != nil {
		return nil, err
	}
	root, err := repositoryRoot()
	if err != nil {
		return nil, err
	}
	return &ControlPlane{root: root, dir: opts.Dir, auditLog: opts.AuditLog, binaries: binaries, say: p.say}, nil
}

// prepareDir makes an empty layout of folders, and the lifeline.
func (cp *ControlPlane) prepareDir() (err error) {
	if cp.dir == "" {
		cp.temporary = true
		if cp.dir, err = os.MkdirTemp("", "controlplane-"); err != nil {
			return err
		}
	}
	if cp.dir, err = filepath.Abs(cp.dir); err != nil {
		return err
	}
	for _, dir := range []string{cp.etcdDir(), cp.apiServerDir(), cp.runDir(), cp.LogDir()} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	remove := ""
	if cp.temporary {
		remove = cp.dir
	}
	cp.lifeline, err = newLifeline(cp.runDir(), remove)
	return err
}

// Stop ends every program and, if the folder is a temporary one, removes it. Further calls return what the first returned.
// It takes no context: cleaning up is due also when the test's context has ended; what does not end by itself is killed.
func (cp *ControlPlane) Stop() error {
	cp.stopOnce.Do(func() { cp.stopErr = cp.stop() })
	return cp.stopErr
}

func (cp *ControlPlane) stop() error {
	var errs []error
	if cp.controller != nil {
		cp.controller.stop()
	}
	if cp.plane != nil {
		errs = append(errs, cp.plane.Stop())
	}
	if cp.etcdLink != nil {
		errs = append(errs, cp.etcdLink.close())
	}
	if cp.lifeline != nil {
		cp.lifeline.cut()
	}
	for _, log := range cp.logs {
		errs = append(errs, log.Close())
	}
	if cp.temporary {
		errs = append(errs, os.RemoveAll(cp.dir))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop control plane: %w", err)
	}
	return nil
}

// Binaries are the programs that this control plane runs.
func (cp *ControlPlane) Binaries() Binaries { return cp.binaries }

// Dir is the folder with everything of this control plane.
func (cp *ControlPlane) Dir() string { return cp.dir }

// LogDir is the folder with etcd.log, kube-apiserver.log, kube-controller-manager.log and, if asked for, audit.log.
func (cp *ControlPlane) LogDir() string { return filepath.Join(cp.dir, "logs") }

func (cp *ControlPlane) etcdDir() string      { return filepath.Join(cp.dir, "etcd") }
func (cp *ControlPlane) apiServerDir() string { return filepath.Join(cp.dir, "kube-apiserver") }
func (cp *ControlPlane) runDir() string       { return filepath.Join(cp.dir, "run") }

// awaitObject waits until the object exists, and reads it.
func (cp *ControlPlane) awaitObject(ctx context.Context, obj client.Object) error {
	key := client.ObjectKeyFromObject(obj)
	var last error
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		last = cp.client.Get(ctx, key, obj)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for %T %s: %w", obj, key, errors.Join(context.Cause(ctx), last))
	}
	return nil
}

// awaitSystemNamespaces waits for the namespaces that kube-apiserver makes shortly after it has begun to serve.
func (cp *ControlPlane) awaitSystemNamespaces(ctx context.Context) error {
	for _, name := range []string{corev1.NamespaceDefault, metav1.NamespaceSystem} {
		namespace := &corev1.Namespace{}
		namespace.Name = name
		if err := cp.awaitObject(ctx, namespace); err != nil {
			return err
		}
	}
	return nil
}

func newClient(cfg *rest.Config) (client.Client, error) {
	return client.New(cfg, client.Options{Scheme: scheme.Scheme})
}
