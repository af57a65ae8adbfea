// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// leavingAtOnce is how many auth servers may hand over at the same time. The others are
// asked in the next round.
const leavingAtOnce = 64

// handOvers asks auth servers that are about to stop, until ctx is done. It waits for none
// of them: one that hangs, or only says that it stops, blocks no other, and no round.
func (g *Gatherer) handOvers(ctx context.Context) {
	var asking errgroup.Group
	asking.SetLimit(leavingAtOnce)
	for {
		select {
		case <-ctx.Done():
			_ = asking.Wait() // each of them has logged what failed
			return
		case <-g.kicks:
			g.notGathered(ctx, g.release(ctx, &asking))
		}
	}
}

// release asks the auth servers that are about to stop.
func (g *Gatherer) release(ctx context.Context, asking *errgroup.Group) error {
	found, err := g.look(ctx)
	if err != nil {
		return err
	}
	for _, v := range found {
		if v.who.Final {
			asking.TryGo(func() error { g.gather(ctx, v); return nil })
		}
	}
	return nil
}

// acquire reports whether an auth server is not being asked. Then the caller may ask it, and
// has to relinquish it.
func (g *Gatherer) acquire(v visit) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v.t.asking {
		return false
	}
	v.t.asking = true
	return true
}

func (g *Gatherer) relinquish(v visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v.t.asking = false
	if !v.who.Final && v.t.Final {
		g.kick() // Its Lease has said so while it was being asked.
	}
}

func (g *Gatherer) kick() {
	select {
	case g.kicks <- struct{}{}:
	default:
	}
}
