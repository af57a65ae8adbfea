// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package readings has small models of how servers read the target of a request: which
// path they go by. Package surface is fuzzed with them; test/gateways compares them with
// the real servers, replays Envoy and Traefik with theirs, and judges what got through a
// gateway by all readings that there can be.
//
// A model (servers.go) is composed of steps (steps.go), and All takes the steps in any
// order. Where servers take a step in different ways, each way has a function, which says
// who takes it. Nothing here knows of the product.
package readings
