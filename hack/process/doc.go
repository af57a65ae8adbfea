// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process supervises the programs that tests and demos run: etcd and
// Kubernetes, the product, gateways and clients. A [Process] is started, is ready, and
// is stopped, killed, paused and started again, any number of times.
//
// controller-runtime's envtest has such a supervisor, for etcd and kube-apiserver alone
// and unexported. It neither pauses nor kills a program, and leaves it running when a
// test is killed.
//
// What was started here does not outlive this process, however it dies: see lifeline.
// This needs a Unix with /bin/sh.
//
// It is for development: nothing of the product may import it.
package process
