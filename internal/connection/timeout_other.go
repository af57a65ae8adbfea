// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package connection

import "syscall"

// setUserTimeout does nothing where there is no such option: HTTP/2 pings remain.
func setUserTimeout(_, _ string, _ syscall.RawConn) error { return nil }
