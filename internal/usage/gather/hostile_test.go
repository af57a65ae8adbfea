// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

// askerFunc answers without a network in between.
type askerFunc func(context.Context, *usage.Question) (*usage.Answer, error)

func (f askerFunc) ask(ctx context.Context, _ string, q *usage.Question) (*usage.Answer, error) {
	return f(ctx, q)
}

func (askerFunc) close() {}

// hanging answers nothing.
func hanging(ctx context.Context, _ *usage.Question) (*usage.Answer, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// endless always has more to tell, of one version that exists and others that do not, each
// time after a while.
func endless(every time.Duration) askerFunc {
	page := 0
	return func(ctx context.Context, q *usage.Question) (*usage.Answer, error) {
		if every > 0 {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(every):
			}
		}
		page++
		id := usage.ID{UID: types.UID(fmt.Sprintf("%09d", page)), KeyID: "k"}
		return &usage.Answer{Process: q.Process, More: true, Versions: []usage.Count{{ID: id, Requests: 1}}}, nil
	}
}

// dialling has each auth server, by its address, answered for by an asker.
func (w *world) dialling(askers map[string]asker) {
	w.dial = func(address, _ string) (asker, error) { return askers[address], nil }
	w.members.usageSources = nil
	for address := range askers {
		w.members.usageSources = append(w.members.usageSources, registry.UsageSource{Name: address, Process: address, Address: address})
	}
}

// leave has the Lease of an auth server say that its counts are final.
func (w *world) leave(address string) {
	for i := range w.members.usageSources {
		if w.members.usageSources[i].Address == address {
			w.members.usageSources[i].Final = true
		}
	}
}

func TestAnAuthServerThatAlwaysHasMoreHoldsNobodyUp(t *testing.T) {
	for name, every := range map[string]time.Duration{"at once": 0, "one after the other": time.Second, "never": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(keyOf("a", v1alpha1.VersionActive))
				honest := usage.NewTable(w.clock)
				w.dialling(map[string]asker{"endless": endless(every), "honest": direct{table: honest, final: new(bool)}})
				honest.Hold("a", "k", false).Count(w.clock.Now())
				begin := time.Now()
				w.gatherAll(t)
				if took := time.Since(begin); took > seriesTimeout {
					t.Errorf("the round took %v", took)
				}
				if w.requests() != 1 || len(w.woken) != 1 || !w.Coverage().Until.IsZero() {
					t.Errorf("%d requests, woken %v, %+v", w.requests(), w.woken, w.Coverage())
				}
			})
		})
	}
}

// However many hang, and whatever they say of themselves.
func TestAHandOverWaitsForNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hang = 2 * askedAtOnce
		w := newWorld(keyOf("a", v1alpha1.VersionActive))
		leaving, finished := usage.NewTable(w.clock), false
		leaving.Hold("a", "k", false).Count(w.clock.Now())
		dismissed := make(chan time.Time, 2)
		askers := map[string]asker{"leaving": askerFunc(func(_ context.Context, q *usage.Question) (*usage.Answer, error) {
			if q.Taken {
				dismissed <- time.Now()
			}
			return direct{table: leaving, final: &finished}.ask(t.Context(), "", q)
		})}
		for i := range hang {
			askers[fmt.Sprint("hangs-", i)] = askerFunc(hanging)
			askers[fmt.Sprint("hangs-and-goes-", i)] = askerFunc(hanging)
		}
		w.dialling(askers)
		for i := range hang {
			w.leave(fmt.Sprint("hangs-and-goes-", i))
		}

		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { w.handOvers(ctx) })
		running.Go(func() { _ = w.round(ctx) })
		synctest.Wait()
		w.kicks <- struct{}{}
		synctest.Wait() // both are waiting for those that hang

		begin := time.Now()
		finished = true
		w.leave("leaving")
		w.kicks <- struct{}{}
		if waited := (<-dismissed).Sub(begin); waited > time.Second {
			t.Errorf("it waited for %v", waited)
		}
		if w.requests() != 1 {
			t.Errorf("%d requests", w.requests())
		}
		cancel()
		running.Wait()
	})
}
