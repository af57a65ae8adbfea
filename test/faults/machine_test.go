// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hexcovery/apikey-operator/hack/stack"
	"github.com/hexcovery/apikey-operator/test/faults/oracle"
)

// restartDelay is how long a program that ended by itself stays so.
const restartDelay = 200 * time.Millisecond

// machine is what a program runs on. As a kubelet does, it starts it again when it
// has ended.
type machine struct {
	*stack.Process
	ledger *oracle.Ledger
	// mortal: the program may end by itself. A manager does when it cannot renew its
	// leadership; an auth server must not, whatever happens.
	mortal bool
	// busy is held by whoever stops and starts the program, from before until after.
	busy sync.Mutex
}

// keep starts the program again whenever it has ended by itself, until ctx is done.
func (m *machine) keep(ctx context.Context) {
	for {
		select {
		case <-m.Ended():
		case <-ctx.Done():
			return
		}
		m.busy.Lock()
		select {
		case <-m.Ended():
			if ctx.Err() == nil {
				if !m.mortal {
					m.ledger.Violate("%s has ended by itself\n%s", m.Name, m.LogTail())
				}
				_ = wait(ctx, restartDelay)
				_ = m.start(ctx)
			}
		default:
			// Somebody has ended it, and started it again.
		}
		m.busy.Unlock()
	}
}

// start starts the program, until it is ready: a manager ends by itself where there
// is no API server.
func (m *machine) start(ctx context.Context) error {
	for {
		if err := m.Kill(); err != nil {
			return err
		}
		err := m.Start(ctx)
		if err == nil {
			return nil
		}
		if !m.mortal {
			return err
		}
		if wait(ctx, restartDelay) != nil {
			return fmt.Errorf("%w; last: %w", context.Cause(ctx), err)
		}
	}
}

// restart kills the program, has between happen, and starts it again.
func (m *machine) restart(ctx context.Context, lasts time.Duration, between func()) error {
	m.busy.Lock()
	defer m.busy.Unlock()
	if err := m.Kill(); err != nil {
		return err
	}
	between()
	if err := wait(ctx, lasts); err != nil {
		return err
	}
	return m.start(ctx)
}

// freeze has the program stand still for a while.
func (m *machine) freeze(ctx context.Context, lasts time.Duration) error {
	m.busy.Lock()
	defer m.busy.Unlock()
	return m.freezeBusy(ctx, lasts)
}

// freezeBusy is freeze for who holds busy.
func (m *machine) freezeBusy(ctx context.Context, lasts time.Duration) error {
	select {
	case <-m.Ended():
		return nil // A manager that another fault has ended. It is about to come back.
	default:
	}
	if err := m.Pause(); err != nil {
		return err
	}
	stopped := wait(ctx, lasts)
	if err := m.Resume(); err != nil {
		return err
	}
	return stopped
}
