// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rig is what tests of gateways have around the gateway: an auth server over
// a registry that knows what a test told it, a switch before that server which makes
// it vanish, hang or talk nonsense, and an upstream that says what reached it.
//
//	client ──► gateway ──► Upstream        every request that arrived, as it arrived
//	              │
//	              └──► Switch ──► webhook.Server ──► Registry
//
// All of it runs in this process, on real sockets of the loopback interface, and
// ends with the test.
package rig
