// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gateways tests the product behind real gateways, with the configurations
// of config/gateways as they are, with real clients, and against attackers.
//
// It is a module of its own: what gateways and clients need is not what the
// product needs, and stays out of its go.mod.
package gateways
