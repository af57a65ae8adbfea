// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

func setUserTimeout(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
	})
	return errors.Join(err, failed)
}
