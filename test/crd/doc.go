// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crd holds no code but its tests. They apply config/base to a real API
// server and say what it then accepts and refuses: the schema of each kind, its
// validation rules with their messages, the policy that guards apikeys/status,
// and the rights of each ServiceAccount. Nothing of the operator runs here.
package crd
