// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// leavingAtOnce is how many auth servers may hand over at the same time. Those beyond are
// asked with all others.
const leavingAtOnce = 64

// handOvers asks whoever is about to go, until ctx is done. It waits for none of them: one
// that hangs, or only says that it goes, holds up no other, and nor does a round.
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

// release has those asked that are about to go.
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

// claim reports whether nobody asks an auth server: then the caller does, and unclaims it.
func (g *Gatherer) claim(v visit) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v.t.asking {
		return false
	}
	v.t.asking = true
	return true
}

func (g *Gatherer) unclaim(v visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v.t.asking = false
	if !v.who.Final && v.t.Final {
		g.kick() // Its Lease has said so while it was being asked.
	}
}

// kick has those asked soon that are about to go.
func (g *Gatherer) kick() {
	select {
	case g.kicks <- struct{}{}:
	default:
	}
}
