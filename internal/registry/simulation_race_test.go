// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build race

package registry

// simulationDefault is less with the race detector, which takes its time.
const simulationDefault = 100
