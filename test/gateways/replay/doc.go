// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package replay stands in for gateways that do not run here. It reads their
// configuration from config/gateways, asks the auth server as they would, and
// applies its answer as they would.
//
//	client ── HTTP/1.1, h2c ──► Gateway ──► upstream
//	                               │
//	                               └──► auth server, over HTTP or gRPC
//
// This is not Envoy. It was written after Envoy's sources, which the comments name,
// and it knows of them what these configurations use; whatever else a configuration
// says is an error, so that nothing passes for tested that was not. A change of the
// file changes what a replay does. What its author misread it does not find.
package replay
