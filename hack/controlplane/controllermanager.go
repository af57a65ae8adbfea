// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// controllerManagerUser is whom the bootstrap policy of RBAC gives what kube-controller-manager needs to give each
// controller a ServiceAccount.
const controllerManagerUser = "system:kube-controller-manager"

// startControllerManager returns when a controller has been seen to work: the default ServiceAccount exists.
func (cp *ControlPlane) startControllerManager(ctx context.Context) error {
	cmd, err := cp.controllerManagerCommand()
	if err != nil {
		return fmt.Errorf("kube-controller-manager: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready in %s", startTimeout))
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	cp.controller, err = startProcess(cmd, giveUp)
	if err != nil {
		return fmt.Errorf("kube-controller-manager: %w", err)
	}
	account := &corev1.ServiceAccount{}
	account.Namespace, account.Name = corev1.NamespaceDefault, "default"
	if err := cp.awaitObject(ctx, account); err != nil {
		return fmt.Errorf("kube-controller-manager: %w\n%s", err, cp.logTail(controllerManagerLog))
	}
	return nil
}

func (cp *ControlPlane) controllerManagerCommand() (*exec.Cmd, error) {
	user, err := cp.plane.AddUser(envtest.User{Name: controllerManagerUser}, &rest.Config{})
	if err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(cp.dir, "kube-controller-manager.kubeconfig")
	if err := writeKubeconfig(user.Config(), kubeconfig); err != nil {
		return nil, err
	}
	rootCA := filepath.Join(cp.apiServerDir(), "root-ca.crt")
	if err := os.WriteFile(rootCA, cp.admin.CAData, 0o600); err != nil {
		return nil, err
	}
	launcher, log, err := cp.program(cp.binaries.KubeControllerManager, controllerManagerLog)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(launcher,
		"--kubeconfig="+kubeconfig,
		"--leader-elect=false",
		"--use-service-account-credentials",
		// envtest makes this key for kube-apiserver to sign tokens with.
		"--service-account-private-key-file="+filepath.Join(cp.apiServerDir(), "sa-signer.key"),
		"--root-ca-file="+rootCA,
		// It serves nothing, so that it needs no port that could be taken: readiness is seen by what the controllers do.
		"--secure-port=0",
		// The defaults are for machines that many share; here they would make a test wait.
		"--kube-api-qps=500", "--kube-api-burst=1000",
	)
	cmd.Stdout, cmd.Stderr = log, log
	return cmd, nil
}

// process is a program in a process group of its own.
type process struct {
	cmd *exec.Cmd
	// done is closed when the program has ended.
	done chan struct{}
}

// startProcess starts the program, and calls ended when it has ended, with an error that says how.
func startProcess(cmd *exec.Cmd, ended func(error)) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // The state says it also when the end was a success.
		ended(fmt.Errorf("ended: %s", cmd.ProcessState))
	}()
	return p, nil
}

// stop asks the program to end and kills it if it does not.
func (p *process) stop() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}
