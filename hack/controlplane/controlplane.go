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
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/hack/build"
	"github.com/hexcovery/apikey-operator/hack/link"
	"github.com/hexcovery/apikey-operator/hack/process"
)

const (
	// stopTimeout bounds the graceful end of a control plane.
	stopTimeout = 20 * time.Second
	// pollInterval is how often it is looked for an object.
	pollInterval = 50 * time.Millisecond
)

// Options say what to start. The zero value is a control plane with everything but an audit log.
type Options struct {
	// WithoutControllerManager leaves out kube-controller-manager, which saves a second and 80 MB. Then nothing is
	// collected by owner reference, namespaces stay Terminating, and no ServiceAccount is made in a new namespace.
	WithoutControllerManager bool

	// AuditLog makes kube-apiserver log every request, for [ControlPlane.AuditEvents].
	AuditLog bool

	// EtcdLink is a kind for which kube-apiserver reaches etcd through a proxy, for [ControlPlane.HoldEtcdWatches]: its
	// group/resource, such as "coordination.k8s.io/leases" or "/configmaps".
	EtcdLink string

	// Dir is for data and logs; what an earlier control plane left there is removed at the start. Empty means a temporary
	// folder that goes away on Stop, or when this process dies.
	Dir string

	// Log is told about progress: provisioning may take minutes the first time. Nil is silent.
	Log io.Writer

	// APIServerFlags come after the flags that Start sets, and so override them.
	APIServerFlags []string

	// Apply are kustomizations, by path from the root of the repository, that are applied before kube-controller-manager
	// starts, as by [ControlPlane.Apply]. Custom resources are known to the garbage collector at once if their definitions
	// are applied here; otherwise it was seen to take 40 seconds until it looked for new kinds.
	Apply []string
}

// ControlPlane is a running Kubernetes without nodes. Its methods may be called from several goroutines, except Stop and
// what fails or restarts a program, which nothing else should race with.
type ControlPlane struct {
	// Binaries are the programs that it runs.
	Binaries Binaries

	root      string
	dir       string
	temporary bool
	audit     *auditTrail // nil without an audit log
	log       io.Writer

	// certificate is the API server's, and the tokens are those of who may come to it.
	certificate                        []byte
	adminToken, controllerManagerToken string
	// address is the API server's. etcdURL is where etcd is: plain HTTP, on loopback, without authentication.
	address, etcdURL string
	etcdLink         *link.Link
	etcd, apiServer  *process.Process
	controllers      *process.Process
	admin            *rest.Config
	client           client.Client
	stop             func() error
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
	if err := cp.prepare(); err != nil {
		return nil, err
	}
	if err := cp.startEtcd(ctx, opts); err != nil {
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
		if cp.controllers, err = cp.newControllerManager(); err != nil {
			return nil, err
		}
		if err := cp.controllers.Start(ctx); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(cp.log, "controlplane: Kubernetes %s is ready in %.1f s (API server %.1f s) at %s\n",
		cp.Binaries.Version, time.Since(began).Seconds(), serving.Seconds(), cp.admin.Host)
	return cp, nil
}

func newControlPlane(ctx context.Context, opts Options) (*ControlPlane, error) {
	if opts.Log == nil {
		opts.Log = io.Discard
	}
	binaries, err := Provision(ctx, opts.Log)
	if err != nil {
		return nil, err
	}
	root, err := build.Root()
	if err != nil {
		return nil, err
	}
	cp := &ControlPlane{Binaries: binaries, root: root, log: opts.Log}
	cp.stop = sync.OnceValue(cp.end)
	if opts.AuditLog {
		cp.audit = newAuditTrail()
	}
	if opts.Dir == "" {
		cp.temporary = true
		cp.dir, err = os.MkdirTemp("", "controlplane-")
	} else {
		cp.dir, err = filepath.Abs(opts.Dir)
	}
	return cp, err
}

// prepare makes the layout of folders, empty, and in it what there has to be before the start.
func (cp *ControlPlane) prepare() error {
	for _, dir := range []string{cp.etcdDir(), cp.apiServerDir(), cp.LogDir()} {
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
			return err
		}
	}
	return cp.newIdentity()
}

// Stop ends every program and, if the folder is a temporary one, removes it. Further calls return what the first returned.
// It takes no context: cleaning up is due also when the test's context has ended; what does not end by itself is killed.
func (cp *ControlPlane) Stop() error { return cp.stop() }

func (cp *ControlPlane) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs []error
	// In the order in which they need each other.
	for _, program := range []*process.Process{cp.controllers, cp.apiServer, cp.etcd} {
		if program != nil {
			errs = append(errs, program.Stop(ctx))
		}
	}
	if cp.etcdLink != nil {
		errs = append(errs, cp.etcdLink.Close())
	}
	if cp.temporary {
		errs = append(errs, os.RemoveAll(cp.dir))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop control plane: %w", err)
	}
	return nil
}

// Dir is the folder with everything of this control plane.
func (cp *ControlPlane) Dir() string { return cp.dir }

// LogDir is the folder with etcd.log, kube-apiserver.log, kube-controller-manager.log and, if asked for, audit.log.
func (cp *ControlPlane) LogDir() string { return filepath.Join(cp.dir, "logs") }

func (cp *ControlPlane) etcdDir() string      { return filepath.Join(cp.dir, "etcd") }
func (cp *ControlPlane) apiServerDir() string { return filepath.Join(cp.dir, "kube-apiserver") }

// awaitObject waits until the object exists, and reads it.
func (cp *ControlPlane) awaitObject(ctx context.Context, obj client.Object) error {
	if err := cp.exists(obj).Await(ctx, pollInterval); err != nil {
		return fmt.Errorf("wait for %T %s: %w", obj, client.ObjectKeyFromObject(obj), err)
	}
	return nil
}

// exists is the readiness of who makes the object, which it reads.
func (cp *ControlPlane) exists(obj client.Object) process.Ready {
	key := client.ObjectKeyFromObject(obj)
	return func(ctx context.Context) error { return cp.client.Get(ctx, key, obj) }
}

// awaitSystemNamespaces waits for the namespaces that kube-apiserver makes shortly after it has begun to serve.
func (cp *ControlPlane) awaitSystemNamespaces(ctx context.Context) error {
	for _, name := range []string{corev1.NamespaceDefault, metav1.NamespaceSystem} {
		if err := cp.awaitObject(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	return nil
}

func newClient(cfg *rest.Config) (client.Client, error) {
	return client.New(cfg, client.Options{Scheme: scheme.Scheme})
}
