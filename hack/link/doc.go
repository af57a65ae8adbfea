// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package link is the network that can fail: a proxy between a program of the product and
// the API server, or between the API server and etcd. See [Link].
//
// It is for development: nothing of the product may import it.
package link
