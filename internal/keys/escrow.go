// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// ErrEscrowFull is returned when an Escrow holds as many keys as it may. It passes:
// keys leave as they are published.
var ErrEscrowFull = errors.New("too many keys wait for the auth servers")

// Escrow holds the keys that wait until every auth server knows them, one for each
// APIKey. It is in memory only: after a restart the keys are gone,
// nobody ever had them, and new ones are minted in their place. It is safe for
// concurrent use.
type Escrow struct {
	limit int

	mu      sync.Mutex
	waiting map[types.UID]deposit
}

type deposit struct {
	plaintext Plaintext
	keyID     string
}

// NewEscrow returns an Escrow for at most limit keys.
func NewEscrow(limit int) *Escrow {
	return &Escrow{limit: limit, waiting: map[types.UID]deposit{}}
}

// Put keeps p for the APIKey uid. What was kept for uid before is forgotten, and needs
// no room of its own. If there is no room the error is ErrEscrowFull, and nothing has
// changed.
func (e *Escrow) Put(uid types.UID, p Plaintext) error {
	if p.IsZero() {
		return errNoKey
	}
	keyID := p.Digest().KeyID()
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, replaces := e.waiting[uid]; !replaces && len(e.waiting) >= e.limit {
		return ErrEscrowFull
	}
	e.waiting[uid] = deposit{plaintext: p, keyID: keyID}
	return nil
}

// Get returns the key that is kept for uid, if it is the one named keyID. It stays
// until Drop.
func (e *Escrow) Get(uid types.UID, keyID string) (p Plaintext, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	d, found := e.waiting[uid]
	if !found || d.keyID != keyID {
		return Plaintext{}, false
	}
	return d.plaintext, true
}

// Drop forgets what is kept for uid, if anything.
func (e *Escrow) Drop(uid types.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.waiting, uid)
}
