// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controlplane is a Kubernetes to test and to demonstrate on: etcd, kube-apiserver and kube-controller-manager as
// child processes on loopback ports, without nodes, containers or root. It is for tests and demos only; it keeps no secret
// and survives no crash.
//
// Compared with controller-runtime's envtest, it has real controllers: what a deleted object owns is collected, a deleted
// namespace goes away, ServiceAccounts exist and have tokens. It lets a test look where nothing may be hidden from it: into
// the audit log and into etcd. And its programs can fail, which those of envtest cannot: see package process.
//
//	cp, err := controlplane.Start(ctx, controlplane.Options{
//		AuditLog: true,
//		Apply:    []string{"config/base"},
//		Log:      os.Stderr,
//	})
//	if err != nil { … }
//	defer cp.Stop()
//	cfg, err := cp.ServiceAccount(ctx, "hexcovery-system", "apikey-manager") // a rest.Config with the rights of the manager, no more
//
// # Where the programs come from
//
// [Provision] builds them, as one program, from the Go modules that hack/controlplane/binaries names, into
// bin/k8s/VERSION-OS-ARCH in the repository: about six minutes on two cores the first time, with nothing but a Go module proxy.
// The version is the one of k8s.io/kubernetes in the go.mod there; no other place says it. To provision beforehand:
//
//	go run ./hack/build/cmd/build kubernetes
//
// Provisioning may run in several processes at once: a file lock lets one work while the others wait, and a binary appears
// under its name only when it is complete.
//
// # What to know when writing a test
//
//   - A start takes about 4 seconds and 450 MB of memory, so start one control plane for a suite, and give each spec a
//     namespace of its own.
//   - Namespaces are deleted at the earliest after 5 seconds: their controller waits that long, for API servers that do not
//     know of the deletion yet. So never wait for the end of a namespace just to clean up.
//   - The garbage collector looks for new kinds every 30 seconds, and what they own may wait for longer. Definitions in
//     Options.Apply are there before it starts.
//   - There are no nodes and no scheduler: pods stay Pending, and Services have no addresses behind them.
//   - No object of RBAC, admission or authentication takes effect at once: use Eventually.
//   - The audit log counts a watch when it starts, and the controllers' requests too: filter by User or UserAgent.
//
// # What can fail
//
// The API server can be stopped, started and paused, and etcd restarted: see [ControlPlane.RestartAPIServer],
// [ControlPlane.PauseAPIServer] and [ControlPlane.RestartEtcd]. A restart of either takes 5 to 10 seconds.
// [ControlPlane.BackUpEtcd] takes a cluster back in time. With Options.EtcdLink the watch cache of its kind can be made to fall
// behind: see [ControlPlane.HoldEtcdWatches].
//
// # How it ends
//
// Stop ends everything. So does the death of this process, be it by SIGKILL, by an interrupt or by the timeout of go test; a
// temporary folder is removed then, too.
package controlplane
