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
// These are not Envoy and Traefik. They were written after their sources (Envoy's as of
// 1.36 to 1.40, Traefik's of 3.7.13), which the comments name, and know of them what these
// configurations use; whatever else a configuration says is an error, so that nothing
// passes for tested that was not. A change of the
// file changes what a replay does. What its author misread it does not find.
package replay
