// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package abuse holds what it can of the auth server: the real listeners, with the bounds
// that the program has by default, in a process of their own, over loopback. Its keys are
// made up, so that no API server is needed.
//
// Each kind of abuse is done twice beside valid requests: to a twin, which takes the
// machine as much work, and to the server that the valid requests go to. What one server
// suffers is the difference; a machine that is busy anyway slows both.
//
// Every loop here is bounded, and ends by itself. Nothing leaves loopback.
package abuse
