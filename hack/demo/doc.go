// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo shows the life of a key, on this machine only: a Kubernetes control
// plane, the manager, two auth servers with the built-in proxy, and behind it a
// small stand-in for the Hexcovery API.
//
// Each step prints the command that a person would type and the answer that came,
// and ends the demo with a failure when that is not the right one. The commands are
// those that are run: kubectl by itself, and requests as curl would send them, from
// the same description. A key is never printed.
//
// On a terminal everything stays up at the end, to be played with, until Ctrl-C.
// With -check, or without a terminal, it ends.
package main
