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
// The demo, the benchmark and the tests of faults start from here. Each program is a
// [Process], which can fail, and with Options.Links so can its network.
//
// It is for development: nothing of the product may import it.
package stack
