// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gateways runs real gateways, as processes of their own on free ports of
// the loopback interface, with the very files of config/gateways, in front of an
// auth server and an upstream that are there already.
//
//	client ── Gateway.HTTP, Gateway.H2C ──► nginx, HAProxy, Caddy ──► Options.Upstream
//	                                              │
//	                                              └─► Options.AuthServer
//
// What a file leaves to its user, such as addresses, is given as its comments say
// that a user gives it. nginx and HAProxy come from the distribution; Caddy is built
// from its Go module at the version that binaries/caddy/go.mod pins, as is
// prom-label-proxy, which tests run beside Prometheus.
//
// What was started here does not outlive this process.
//
// It is for development: nothing of the product may import it.
package gateways
