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
// Istio and Envoy Gateway configure an Envoy. What they would make of their files is made
// here, by tables of what each field becomes, and served by the replay of Envoy.
//
// These are not the programs. They were written after their sources (Envoy's as of 1.36 to
// 1.40, Traefik's of 3.7.13, Istio's of 1.31.0-rc.0, Envoy Gateway's of 1.9.1), which the
// comments name, and know of them what these configurations use; whatever else a configuration says is an error, so
// that nothing passes for tested that was not. A change of the file changes what a replay
// does. What its author misread it does not find.
package replay
