// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// leaveTimeout is how long a stop waits for the API server. A Lease that cannot be
// deleted runs out by itself; until then revocations wait for it.
const leaveTimeout = 5 * time.Second

// errStopped is returned when the replica stops unasked.
var errStopped = errors.New("stopped unexpectedly")

// Replica is this process's membership in the registry.
type Replica interface {
	// Run is a member until ctx is done. When it returns, keys are undecided.
	Run(ctx context.Context) error
	// Leave deletes the Lease: the manager no longer waits for this replica.
	Leave(ctx context.Context) error
}

// Run serves and is a member of the registry until ctx is done, and stops in the
// one order in which no request is accepted by a replica that nobody waits for:
//
//	not ready ─► drain ─► stop serving ─► hand usage over ─► stop the replica ─► delete its Lease
func Run(ctx context.Context, server *Server, replica Replica) error {
	// The replica has to renew its Lease until the last request was answered.
	membership, resign := context.WithCancel(context.WithoutCancel(ctx))
	defer resign()
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()

	resigned := make(chan error, 1)
	go func() {
		defer stopServing() // without a replica there is nothing to serve
		err := replica.Run(membership)
		if membership.Err() == nil {
			err = errors.Join(errStopped, err)
		}
		resigned <- err
	}()
	server.config.Log.Info("starting", server.describe()...)
	err := server.Run(serving)

	resign()
	if stopped := <-resigned; stopped != nil && !errors.Is(stopped, context.Canceled) {
		err = errors.Join(err, fmt.Errorf("run the registry's replica: %w", stopped))
	}
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	return errors.Join(err, replica.Leave(leaving))
}
