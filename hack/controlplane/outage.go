// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// StopAPIServer ends kube-apiserver gracefully. Watches break, and requests are refused until StartAPIServer.
func (cp *ControlPlane) StopAPIServer() error {
	if err := cp.plane.APIServer.Stop(); err != nil {
		return fmt.Errorf("stop API server: %w", err)
	}
	return nil
}

// StartAPIServer starts kube-apiserver again, at the same address and with the same certificates, so that every client can go
// on, and returns when it serves.
func (cp *ControlPlane) StartAPIServer(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("start API server: %w", err)
	}
	if err := cp.plane.APIServer.Start(); err != nil {
		return fmt.Errorf("start API server: %w\n%s", err, cp.logTail(apiServerLog))
	}
	if err := cp.awaitSystemNamespaces(ctx); err != nil {
		return fmt.Errorf("start API server: %w", err)
	}
	return nil
}

// RestartAPIServer is StopAPIServer and StartAPIServer.
func (cp *ControlPlane) RestartAPIServer(ctx context.Context) error {
	if err := cp.StopAPIServer(); err != nil {
		return err
	}
	return cp.StartAPIServer(ctx)
}

// PauseAPIServer holds kube-apiserver still until ResumeAPIServer: connections stay, and nothing answers. A paused one does not
// stop gracefully.
func (cp *ControlPlane) PauseAPIServer() error {
	return cp.lifeline.signal(cp.binaries.KubeAPIServer, syscall.SIGSTOP)
}

// ResumeAPIServer lets a paused kube-apiserver go on.
func (cp *ControlPlane) ResumeAPIServer() error {
	return cp.lifeline.signal(cp.binaries.KubeAPIServer, syscall.SIGCONT)
}

// RestartEtcd ends etcd gracefully and starts it again, with its data and at the same address. kube-apiserver runs on, and
// returns errors meanwhile.
func (cp *ControlPlane) RestartEtcd(ctx context.Context) error {
	if err := cp.restartEtcd(ctx, func() error { return nil }); err != nil {
		return fmt.Errorf("restart etcd: %w", err)
	}
	return nil
}

// BackUpEtcd keeps what etcd holds now, which is to restart for that, and returns how to restore it: as admins do, with the API
// server stopped, so that it begins anew with what is in the backup. Revisions then go back, too.
func (cp *ControlPlane) BackUpEtcd(ctx context.Context) (restore func(context.Context) error, err error) {
	kept := filepath.Join(cp.dir, "etcd-backup")
	if err := cp.restartEtcd(ctx, func() error { return replaceDir(kept, cp.etcdDir()) }); err != nil {
		return nil, fmt.Errorf("back up etcd: %w", err)
	}
	return func(ctx context.Context) error {
		if err := cp.StopAPIServer(); err != nil {
			return err
		}
		if err := cp.plane.Etcd.Stop(); err != nil {
			return fmt.Errorf("restore etcd: %w", err)
		}
		if err := replaceDir(cp.etcdDir(), kept); err != nil {
			return fmt.Errorf("restore etcd: %w", err)
		}
		if err := cp.plane.Etcd.Start(); err != nil {
			return fmt.Errorf("restore etcd: %w\n%s", err, cp.logTail(etcdLog))
		}
		return cp.StartAPIServer(ctx)
	}, nil
}

// restartEtcd restarts etcd, and calls f while it is stopped.
func (cp *ControlPlane) restartEtcd(ctx context.Context, f func() error) error {
	if err := cp.plane.Etcd.Stop(); err != nil {
		return err
	}
	if err := errors.Join(context.Cause(ctx), f()); err != nil {
		return err
	}
	if err := cp.plane.Etcd.Start(); err != nil {
		return fmt.Errorf("%w\n%s", err, cp.logTail(etcdLog))
	}
	return cp.awaitSystemNamespaces(ctx)
}

// replaceDir has the folder to hold what the folder from holds.
func replaceDir(to, from string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}
