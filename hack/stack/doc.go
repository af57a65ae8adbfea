// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stack runs the product as it is shipped, as processes of their own, on
// the control plane of package controlplane: the manager and some auth servers,
// on free ports of the loopback interface, each with the rights of its
// ServiceAccount and no others.
//
//	Start ──► build bin/manager, bin/authserver
//	      ──► control plane, config/base
//	      ──► manager, auth server 1 … n   each until its /readyz says so
//
// The demo, the benchmark and the tests of faults start from here. A [Process]
// can be stopped, killed, paused and started again, and then is what a container
// that restarts in its pod is: same addresses, same pod UID.
//
// What was started here does not outlive this process. On Linux the kernel sees
// to it; elsewhere a program survives if this process is killed with SIGKILL.
//
// It is for development: nothing of the product may import it.
package stack
