// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// lockPoll is how often a waiting process asks for the lock again. A blocking flock(2)
// would need no polling but could not be given up when the context ends.
const lockPoll = 100 * time.Millisecond

// lock takes an exclusive advisory lock on the file, creating it, and says so while it
// waits for another process. Closing the returned file gives the lock up, and so does the
// death of every process that has the file open.
func (s Spec) lock(ctx context.Context, log io.Writer, path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if taken, err := tryLock(file); taken || err != nil {
		return file, err
	}
	fmt.Fprintf(log, "build: waiting for another process that is making %s\n", s.Name)
	err = s.beat(func(elapsed time.Duration) {
		fmt.Fprintf(log, "build: still waiting: %.0f s\n", elapsed.Seconds())
	}, func() error {
		return wait.PollUntilContextCancel(ctx, lockPoll, false, func(context.Context) (bool, error) { return tryLock(file) })
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, errors.Join(context.Cause(ctx), err)), file.Close())
	}
	return file, nil
}

func tryLock(file *os.File) (bool, error) {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		return false, nil
	}
	return err == nil, err
}
