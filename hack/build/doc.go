// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package build builds the programs that tests, demos and checks run, from Go modules of
// this repository: the product, Kubernetes, gateways and tools.
//
// All are built alike, so that what they share is compiled once. A build says how far it
// is every 15 seconds. What [Once] builds appears under its name only when it is complete,
// and several processes may want it at once.
//
// It is for development: nothing of the product may import it.
package build
