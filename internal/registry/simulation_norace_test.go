// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package registry

// simulationDefault is how many schedules take about half a minute.
const simulationDefault = 1000
