// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package readings has small models of how servers read the target of a request: which
// path they go by. Package surface is fuzzed with them, and test/gateways compares them
// with the real servers.
package readings
