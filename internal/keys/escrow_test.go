// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func TestEscrowKeepsOneKeyOfEachUID(t *testing.T) {
	first, second := mintOf(t, counting(0)), mintOf(t, counting(1))
	firstID, secondID := first.Digest().KeyID(), second.Digest().KeyID()
	e := NewEscrow(10)

	if _, ok := e.Get("uid", firstID); ok {
		t.Error("a key before one was put")
	}
	put(t, e, "uid", first)
	got, ok := e.Get("uid", firstID)
	if !ok || !got.Equal(first) {
		t.Errorf("Get: %v, %v", got, ok)
	}
	if got, ok := e.Get("uid", secondID); ok || !got.IsZero() {
		t.Error("a key under another's ID")
	}
	if _, ok := e.Get("other", firstID); ok {
		t.Error("a key under another's UID")
	}

	put(t, e, "uid", second)
	if _, ok := e.Get("uid", firstID); ok {
		t.Error("the replaced key is still there")
	}
	if got, ok := e.Get("uid", secondID); !ok || !got.Equal(second) {
		t.Errorf("Get: %v, %v", got, ok)
	}

	e.Drop("other")
	if _, ok := e.Get("uid", secondID); !ok {
		t.Error("dropping another UID dropped this one")
	}
	e.Drop("uid")
	e.Drop("uid")
	if _, ok := e.Get("uid", secondID); ok {
		t.Error("still there after Drop")
	}
}

func TestEscrowIsBounded(t *testing.T) {
	p, q := mintOf(t, counting(0)), mintOf(t, counting(1))
	e := NewEscrow(2)
	put(t, e, "a", p)
	put(t, e, "b", p)
	if err := e.Put("c", p); !errors.Is(err, ErrEscrowFull) {
		t.Errorf("a third key: %v", err)
	}
	if _, ok := e.Get("c", p.Digest().KeyID()); ok {
		t.Error("kept in spite of the error")
	}
	put(t, e, "a", q) // takes no more room
	e.Drop("b")
	put(t, e, "c", p)
	if err := NewEscrow(0).Put("a", p); !errors.Is(err, ErrEscrowFull) {
		t.Errorf("a limit of 0: %v", err)
	}
}

func TestEscrowRefusesNoKey(t *testing.T) {
	e := NewEscrow(1)
	if err := e.Put("uid", Plaintext{}); err == nil {
		t.Error("the zero Plaintext was kept")
	}
	if _, ok := e.Get("uid", Digest{}.KeyID()); ok {
		t.Error("there is something")
	}
}

func TestEscrowIsSafeForConcurrentUse(t *testing.T) {
	const workers, rounds, limit = 8, 200, 4
	e := NewEscrow(limit)
	p := mintOf(t, counting(0))
	id := p.Digest().KeyID()
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for round := range rounds {
				own, shared := types.UID(fmt.Sprintf("own-%d", worker)), types.UID("shared")
				for _, uid := range []types.UID{own, shared} {
					if err := e.Put(uid, p); err != nil && !errors.Is(err, ErrEscrowFull) {
						t.Error(err)
					}
					if got, ok := e.Get(uid, id); ok && (!got.Equal(p)) {
						t.Errorf("Get: %v", got)
					}
				}
				if held := e.held(); held > limit {
					t.Errorf("%d keys", held)
				}
				e.Drop(own)
				if round%2 == 0 {
					e.Drop(shared)
				}
			}
		})
	}
	group.Wait()
}

func (e *Escrow) held() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.waiting)
}

func put(t *testing.T, e *Escrow, uid types.UID, p Plaintext) {
	t.Helper()
	if err := e.Put(uid, p); err != nil {
		t.Fatal(err)
	}
}
