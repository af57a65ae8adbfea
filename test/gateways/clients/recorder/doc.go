// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package recorder is a back end behind a gateway that writes down what arrives: OTLP
// over HTTP and gRPC, and Prometheus' remote write. It keeps no telemetry, but counts
// each numbered [Item], with what the gateway said about who sent it.
//
// A client under test names itself (service.name, or the label client) and numbers
// what it sends, from 1 on, apart for each [Signal]. So whoever knows how much a client
// sent can tell what is missing, and what came twice.
//
// What no back end may see is a fault, not an item: a key, a request without exactly
// one organization, a path that is not in the surface, a body that cannot be read.
package recorder
