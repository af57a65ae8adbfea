// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/hexcovery/apikey-operator/hack/link"
	"github.com/hexcovery/apikey-operator/hack/process"
)

// gcPercent is the GOGC of etcd and Kubernetes. A control plane with a small heap collects garbage several times a second, and
// each collection takes what a machine with few cores has: at Go's default of 100 it, and not what is tested, decides the
// slowest tenth of all times. This costs some hundred MiB.
const gcPercent = "GOGC=400"

// program returns a process of the control plane.
func (cp *ControlPlane) program(name string, args []string, ready process.Ready) *process.Process {
	launching := process.Launch{Path: cp.Binaries.Path(name), Args: args, Env: []string{gcPercent}, DiesOfTerm: true}
	if cp.temporary {
		launching.Scratch = cp.dir
	}
	return process.New(name, cp.LogDir(), launching, ready)
}

// startEtcd starts etcd and, if it is asked for, the proxy to it.
func (cp *ControlPlane) startEtcd(ctx context.Context, opts Options) (err error) {
	cp.etcd, err = process.StartOnFreePorts(ctx, 1, func(addresses []string) (*process.Process, error) {
		cp.etcdURL = "http://" + addresses[0]
		return cp.program(etcdProgram, []string{
			"--data-dir=" + cp.etcdDir(), "--listen-client-urls=" + cp.etcdURL, "--advertise-client-urls=" + cp.etcdURL,
			// Nobody connects to it as a peer, so it may choose the port itself.
			"--listen-peer-urls=http://127.0.0.1:0",
			// A test does not outlive a power failure.
			"--unsafe-no-fsync",
		}, process.Answers(cp.etcdURL+"/readyz")), nil
	})
	if err == nil && opts.EtcdLink != "" {
		cp.etcdLink, err = link.ToEtcd(cp.etcdURL)
	}
	return err
}

// startAPIServer starts kube-apiserver, which reaches etcd, and makes the administrator's access to it.
func (cp *ControlPlane) startAPIServer(ctx context.Context, opts Options) (err error) {
	cp.apiServer, err = process.StartOnFreePorts(ctx, 1, func(addresses []string) (*process.Process, error) {
		fmt.Fprintf(cp.log, "controlplane: starting kube-apiserver %s\n", cp.Binaries.Version)
		cp.address = addresses[0]
		cp.admin = cp.config(cp.adminToken)
		if cp.client, err = newClient(cp.admin); err != nil {
			return nil, err
		}
		if err := WriteKubeconfig(cp.admin, cp.AdminKubeconfig()); err != nil {
			return nil, err
		}
		return cp.newAPIServer(opts)
	})
	if err != nil {
		return err
	}
	return cp.awaitSystemNamespaces(ctx)
}

func (cp *ControlPlane) newAPIServer(opts Options) (*process.Process, error) {
	_, port, _ := strings.Cut(cp.address, ":")
	flags := []string{
		// Without this, kube-apiserver looks for the address of a default route, which a machine without network lacks. It
		// accepts to advertise loopback only if it keeps no endpoints of itself.
		"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--bind-address=127.0.0.1", "--secure-port=" + port,
		"--etcd-servers=" + cp.etcdURL,
		"--authorization-mode=RBAC", "--allow-privileged", "--service-cluster-ip-range=10.0.0.0/24",
		"--token-auth-file=" + cp.tokensPath(),
		"--tls-cert-file=" + cp.certificatePath(), "--tls-private-key-file=" + cp.keyPath(),
		"--service-account-issuer=https://kubernetes.default.svc",
		// The private key serves for the public one, too.
		"--service-account-key-file=" + cp.keyPath(), "--service-account-signing-key-file=" + cp.keyPath(),
		// A graceful end waits a minute for open watches, of which every controller has some; in this mode it waits 2 seconds.
		"--shutdown-send-retry-after",
	}
	if opts.WithoutControllerManager {
		// Nothing would make the default ServiceAccounts that it asks for.
		flags = append(flags, "--disable-admission-plugins=ServiceAccount")
	}
	if cp.etcdLink != nil {
		flags = append(flags, "--etcd-servers-overrides="+opts.EtcdLink+"#"+cp.etcdLink.URL())
	}
	if opts.AuditLog {
		policy := filepath.Join(cp.apiServerDir(), "audit-policy.yaml")
		if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
			return nil, err
		}
		flags = append(flags, "--audit-policy-file="+policy, "--audit-log-path="+cp.auditLogPath(), "--audit-log-mode=blocking",
			"--audit-log-maxsize=0") // No rotation: one file has it all.
	}
	client, err := rest.HTTPClientFor(cp.admin)
	if err != nil {
		return nil, err
	}
	return cp.program(apiServerProgram, append(flags, opts.APIServerFlags...), process.AnswersTo(client, cp.admin.Host+"/readyz")), nil
}

// newControllerManager returns kube-controller-manager, which is ready when a controller has been seen to work.
func (cp *ControlPlane) newControllerManager() (*process.Process, error) {
	kubeconfig := filepath.Join(cp.dir, "kube-controller-manager.kubeconfig")
	if err := WriteKubeconfig(cp.config(cp.controllerManagerToken), kubeconfig); err != nil {
		return nil, err
	}
	return cp.program(controllerProgram, []string{
		"--kubeconfig=" + kubeconfig,
		"--leader-elect=false",
		"--use-service-account-credentials",
		"--service-account-private-key-file=" + cp.keyPath(),
		"--root-ca-file=" + cp.certificatePath(),
		// It serves nothing, so that it needs no port that could be taken.
		"--secure-port=0",
		// The defaults are for machines that many share; here they would make a test wait.
		"--kube-api-qps=500", "--kube-api-burst=1000",
	}, cp.exists(serviceAccount(corev1.NamespaceDefault, "default"))), nil
}
