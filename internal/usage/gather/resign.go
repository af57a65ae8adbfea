// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

const (
	// resignTimeout bounds the end: the manager waits 10 s for all that it runs.
	resignTimeout = 8 * time.Second
	// writtenAtOnce is how many statuses are written at the same time at the end.
	writtenAtOnce = 16
)

// resign leaves to the next leader what only this one has: it writes down what auth
// servers have handed over that are gone, and tells the others what was written, so
// that it is not counted again.
func (g *Gatherer) resign(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, resignTimeout)
	defer cancel()
	g.settle(ctx)
	var telling errgroup.Group
	telling.SetLimit(askedAtOnce)
	for _, v := range g.reachable() {
		telling.Go(func() error { return g.tell(ctx, v) })
	}
	if err := telling.Wait(); err != nil {
		log.FromContext(ctx).Info("the next leader may count again what this one has just written", "error", err.Error())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.tellers {
		t.close()
	}
}

// reachable returns the auth servers that were asked before and may be counting. Nobody
// asks any more.
func (g *Gatherer) reachable() (found []visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.tellers {
		if t.live() && t.caller != nil {
			found = append(found, visit{t: t, who: t.Teller})
		}
	}
	return found
}

// tell acknowledges what is left to be.
func (g *Gatherer) tell(ctx context.Context, v visit) error {
	for marks := g.Ledger.marks(v.who.Process); len(marks) > 0; marks = g.Ledger.marks(v.who.Process) {
		if _, err := g.ask(ctx, v, v.question(marks)); err != nil {
			return err
		}
	}
	return nil
}

// settle writes the statuses that lack what was handed over.
func (g *Gatherer) settle(ctx context.Context) {
	list := &v1alpha1.APIKeyList{}
	if g.Write == nil || g.Keys.List(ctx, list, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency) != nil {
		return
	}
	var writing errgroup.Group
	writing.SetLimit(writtenAtOnce)
	for i := range list.Items {
		key := &list.Items[i]
		g.Ledger.Observe(key)
		if !key.DeletionTimestamp.IsZero() || !g.Ledger.owes(key) {
			continue
		}
		writing.Go(func() error {
			stored, err := g.Write(ctx, client.ObjectKeyFromObject(key), g.Ledger.Fill)
			if err != nil {
				log.FromContext(ctx).Info("usage that was handed over is lost", "namespace", key.Namespace, "name", key.Name, "error", err.Error())
				return nil
			}
			g.Ledger.Observe(stored)
			return nil
		})
	}
	_ = writing.Wait() // what failed was logged
}
