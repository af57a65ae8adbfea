// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ext is where Traefik's dynamic configuration may be extended. Traefik's own
// adds nothing, and no proxy has it: its module is a folder of Traefik's repository.
package ext

// HTTP is what is added to the HTTP configuration.
type HTTP struct{}

// Router is what is added to a router.
type Router struct{}
