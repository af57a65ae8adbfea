// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package stack

import "syscall"

// diesWithParent cannot be promised here: see the package documentation.
func diesWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
