// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// startAttempts bounds how often a start is tried again when a port is taken. envtest reserves ports among its users, but a
// connection of any other program may get the same one between the choice of the port and its use.
const startAttempts = 3

// The logs of the programs.
const (
	etcdLog              = "etcd.log"
	apiServerLog         = "kube-apiserver.log"
	controllerManagerLog = "kube-controller-manager.log"
)

// startAPIServer starts etcd and kube-apiserver, and makes the administrator.
func (cp *ControlPlane) startAPIServer(ctx context.Context, opts Options) error {
	for attempt := 1; ; attempt++ {
		err := cp.startPlane(ctx, opts)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		tail := cp.logTail(etcdLog, apiServerLog)
		if attempt == startAttempts || !strings.Contains(tail, "address already in use") {
			return fmt.Errorf("%w\n%s", err, tail)
		}
		cp.say.sayf("a port was taken meanwhile; trying others")
	}
	if err := cp.createAdmin(); err != nil {
		return err
	}
	return cp.awaitSystemNamespaces(ctx)
}

// startPlane makes one attempt, from clean folders. When ctx ends, it kills what it has started.
func (cp *ControlPlane) startPlane(ctx context.Context, opts Options) error {
	for _, dir := range []string{cp.etcdDir(), cp.apiServerDir()} {
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
			return err
		}
	}
	etcd, err := cp.newEtcd()
	if err != nil {
		return err
	}
	apiServer, err := cp.newAPIServer(opts)
	if err != nil {
		return err
	}
	if opts.EtcdLink {
		if err := cp.linkEtcd(ctx, etcd, apiServer); err != nil {
			return err
		}
	}
	plane := &envtest.ControlPlane{Etcd: etcd, APIServer: apiServer, KubectlPath: cp.binaries.Kubectl}
	cp.say.sayf("starting etcd and kube-apiserver %s", cp.binaries.Version)
	defer context.AfterFunc(ctx, cp.lifeline.cut)()
	if err := plane.Start(); err != nil {
		return errors.Join(err, plane.Stop())
	}
	cp.plane = plane
	return nil
}

// linkEtcd has kube-apiserver reach etcd through a link. envtest chooses the address of etcd when it starts it, which is too
// late for that.
func (cp *ControlPlane) linkEtcd(ctx context.Context, etcd *envtest.Etcd, apiServer *envtest.APIServer) (err error) {
	if cp.etcdLink != nil {
		_ = cp.etcdLink.close() // of an attempt that failed
	}
	free, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a port for etcd: %w", err)
	}
	etcd.URL = &url.URL{Scheme: "http", Host: free.Addr().String()}
	_ = free.Close()
	if cp.etcdLink, err = startEtcdLink(ctx, etcd.URL.Host); err != nil {
		return err
	}
	apiServer.Configure().Set("etcd-servers", cp.etcdLink.url())
	return nil
}

func (cp *ControlPlane) newEtcd() (*envtest.Etcd, error) {
	launcher, log, err := cp.program(cp.binaries.Etcd, etcdLog)
	if err != nil {
		return nil, err
	}
	// envtest adds --unsafe-no-fsync: a test does not outlive a power failure.
	etcd := &envtest.Etcd{
		Path: launcher, DataDir: cp.etcdDir(), Out: log, Err: log,
		StartTimeout: startTimeout, StopTimeout: stopTimeout,
	}
	// Nobody connects to it as a peer, so it may choose the port itself. envtest looks for a free one before each
	// start, and where much connects meanwhile somebody else has it by then.
	etcd.Configure().Set("listen-peer-urls", "http://127.0.0.1:0")
	return etcd, nil
}

func (cp *ControlPlane) newAPIServer(opts Options) (*envtest.APIServer, error) {
	launcher, log, err := cp.program(cp.binaries.KubeAPIServer, apiServerLog)
	if err != nil {
		return nil, err
	}
	server := &envtest.APIServer{
		Path: launcher, CertDir: cp.apiServerDir(), Out: log, Err: log,
		StartTimeout: startTimeout, StopTimeout: stopTimeout,
	}
	flags := server.Configure()
	// Without this, kube-apiserver looks for the address of a default route, which a machine without network lacks. It
	// accepts to advertise loopback only if it keeps no endpoints of itself.
	flags.Set("advertise-address", "127.0.0.1").Set("endpoint-reconciler-type", "none")
	// A graceful end waits a minute for open watches, of which every controller has some; in this mode it waits 2 seconds.
	flags.Set("shutdown-send-retry-after", "true")
	if !opts.WithoutControllerManager {
		// envtest disables the admission of ServiceAccounts because nothing would make the default ones.
		flags.Disable("disable-admission-plugins")
	}
	if opts.AuditLog {
		if err := cp.configureAudit(flags); err != nil {
			return nil, err
		}
	}
	return server, overrideFlags(flags, opts.APIServerFlags)
}

// overrideFlags replaces the values of each flag given by those given.
func overrideFlags(flags *envtest.Arguments, given []string) error {
	seen := map[string]bool{}
	for _, flag := range given {
		name, value, hasValue := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		switch {
		case !strings.HasPrefix(flag, "--") || name == "":
			return fmt.Errorf("flag %q: want --name=value or --name", flag)
		case !hasValue:
			flags.Enable(name)
		case seen[name]:
			flags.AppendNoDefaults(name, value)
		default:
			flags.Set(name, value)
		}
		seen[name] = true
	}
	return nil
}

// program makes the launcher of a binary and opens its log.
func (cp *ControlPlane) program(path, logName string) (launcher string, log *os.File, err error) {
	if launcher, err = cp.lifeline.launcher(path); err != nil {
		return "", nil, err
	}
	log, err = os.OpenFile(filepath.Join(cp.LogDir(), logName), os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return "", nil, err
	}
	cp.logs = append(cp.logs, log)
	return launcher, log, nil
}

// createAdmin makes the administrator's client, and writes the kubeconfig.
func (cp *ControlPlane) createAdmin() error {
	// A negative QPS means that the client does not limit itself.
	admin, err := cp.plane.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, &rest.Config{QPS: -1})
	if err != nil {
		return err
	}
	cp.admin = admin.Config()
	if cp.client, err = newClient(cp.admin); err != nil {
		return err
	}
	return writeKubeconfig(cp.admin, cp.AdminKubeconfig())
}

// logTail returns the last lines of each log, for an error message.
func (cp *ControlPlane) logTail(names ...string) string {
	const lines = 15
	var tail strings.Builder
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(cp.LogDir(), name))
		if err != nil {
			continue
		}
		all := strings.Split(strings.TrimSpace(string(data)), "\n")
		fmt.Fprintf(&tail, "last lines of %s:\n%s\n", name, strings.Join(all[max(0, len(all)-lines):], "\n"))
	}
	return tail.String()
}
