// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hexcovery/apikey-operator/hack/link"
)

// ErrNoEtcdLink is returned by HoldEtcdWatches without Options.EtcdLink.
var ErrNoEtcdLink = errors.New("the control plane was started without EtcdLink")

// StopAPIServer ends kube-apiserver gracefully. Watches break, and requests are refused until StartAPIServer.
func (cp *ControlPlane) StopAPIServer() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return cp.apiServer.Stop(ctx)
}

// StartAPIServer starts kube-apiserver again, at the same address and with the same certificates, so that every client can go
// on, and returns when it serves.
func (cp *ControlPlane) StartAPIServer(ctx context.Context) error {
	if err := cp.apiServer.Start(ctx); err != nil {
		return err
	}
	return cp.awaitSystemNamespaces(ctx)
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
func (cp *ControlPlane) PauseAPIServer() error { return cp.apiServer.Pause() }

// ResumeAPIServer lets a paused kube-apiserver go on.
func (cp *ControlPlane) ResumeAPIServer() error { return cp.apiServer.Resume() }

// RestartEtcd ends etcd gracefully and starts it again, with its data and at the same address. kube-apiserver runs on, and
// returns errors meanwhile.
func (cp *ControlPlane) RestartEtcd(ctx context.Context) error {
	if err := cp.restartEtcd(ctx, func() error { return nil }); err != nil {
		return fmt.Errorf("restart etcd: %w", err)
	}
	return cp.awaitSystemNamespaces(ctx)
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
		if err := cp.restartEtcd(ctx, func() error { return replaceDir(cp.etcdDir(), kept) }); err != nil {
			return fmt.Errorf("restore etcd: %w", err)
		}
		return cp.StartAPIServer(ctx)
	}, cp.awaitSystemNamespaces(ctx)
}

// restartEtcd restarts etcd, and calls f while it is stopped.
func (cp *ControlPlane) restartEtcd(ctx context.Context, f func() error) error {
	if err := cp.etcd.Stop(ctx); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	return cp.etcd.Start(ctx)
}

// replaceDir has the folder to hold what the folder from holds.
func replaceDir(to, from string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}

// HoldEtcdWatches holds back what etcd tells watches of the kind of Options.EtcdLink, until release is called. So
// kube-apiserver's watch cache of that kind falls behind, as it does when etcd is overloaded: lists at resourceVersion "0"
// are old, watches bring nothing. Reads of the present, and writes, go on.
func (cp *ControlPlane) HoldEtcdWatches() (release func(), err error) {
	if cp.etcdLink == nil {
		return nil, ErrNoEtcdLink
	}
	return cp.etcdLink.HoldAnswers(link.Watches).Release, nil
}
