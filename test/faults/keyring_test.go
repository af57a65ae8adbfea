// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/test/faults/oracle"
)

const (
	// remembered is for how long a key that is dead is still asked about. Whoever is
	// going to accept it does so within the longest fault.
	remembered = 15 * time.Second
	// mostDead bounds how many of those there are: the more keys, the seldomer each
	// is asked about.
	mostDead = 12
)

// subject is one key, as its users know it. When another takes its place that is
// another subject, of the same APIKey.
type subject struct {
	oracle.Key
	*owner

	// request asks an auth server about the key; nil until its Secret was read.
	request atomic.Pointer[[]byte]
}

// owner is the APIKey of some keys.
type owner struct {
	// apiKey is its name.
	apiKey string
	// busy: a user is about to change it.
	busy atomic.Bool

	mu sync.Mutex
	// seen is the APIKey as it was last seen, and when.
	seen sighting
	// changed is closed at the next sighting.
	changed chan struct{}
}

// sighting is what the API server said of an APIKey. The object is nil when there
// was none yet, or when it is gone.
type sighting struct {
	key  *v1alpha1.APIKey
	gone bool
	at   time.Time
}

func (s *owner) see(seen sighting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = seen
	close(s.changed)
	s.changed = make(chan struct{})
}

// await waits until the APIKey was seen as it is wanted, and says when that was.
func (s *owner) await(ctx context.Context, wanted func(sighting) bool) (time.Time, error) {
	for {
		s.mu.Lock()
		seen, changed := s.seen, s.changed
		s.mu.Unlock()
		if wanted(seen) {
			return seen.at, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		}
	}
}

func (s *owner) last() sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// keyring has every key, and is what the watch of APIKeys writes to.
type keyring struct {
	mu       sync.Mutex
	owners   map[string]*owner
	subjects map[string]*subject
	// asked are those that auth servers are asked about.
	asked atomic.Pointer[[]*subject]
}

var _ cache.ReflectorStore = (*keyring)(nil)

func newKeyring() *keyring {
	k := &keyring{owners: map[string]*owner{}, subjects: map[string]*subject{}}
	k.asked.Store(&[]*subject{})
	return k
}

// add makes a subject of that name, the first key of the APIKey of that name.
func (k *keyring) add(name string) *subject {
	return k.succeed(name, &owner{apiKey: name, changed: make(chan struct{})})
}

// succeed makes a subject of that name, a key of an APIKey.
func (k *keyring) succeed(name string, of *owner) *subject {
	s := &subject{Key: oracle.Key{Name: name}, owner: of}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.owners[of.apiKey], k.subjects[name] = of, s
	return s
}

// valid are the subjects that are valid and that no user is busy with.
func (k *keyring) valid() []*subject {
	k.mu.Lock()
	defer k.mu.Unlock()
	var found []*subject
	for _, s := range k.subjects {
		if state, _ := s.Now(); state == oracle.Valid && !s.busy.Load() && s.request.Load() != nil {
			found = append(found, s)
		}
	}
	return found
}

// refresh chooses again who is asked about: everybody but those that are dead for
// long, which are forgotten.
func (k *keyring) refresh() {
	k.mu.Lock()
	defer k.mu.Unlock()
	var asked []*subject
	owners := map[string]*owner{}
	dead := 0
	for name, s := range k.subjects {
		state, since := s.Now()
		if state == oracle.Dead && !s.busy.Load() {
			if dead++; time.Since(since) > remembered || dead > mostDead {
				delete(k.subjects, name)
				continue
			}
		}
		owners[s.apiKey] = s.owner
		if s.request.Load() != nil {
			asked = append(asked, s)
		}
	}
	k.owners = owners
	k.asked.Store(&asked)
}

func (k *keyring) see(obj any, gone bool) {
	at := time.Now()
	if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = tombstone.Obj
	}
	key, ok := obj.(*v1alpha1.APIKey)
	if !ok {
		return
	}
	k.mu.Lock()
	s := k.owners[key.Name]
	k.mu.Unlock()
	if s != nil {
		s.see(sighting{key: key, gone: gone, at: at})
	}
}

func (k *keyring) Add(obj any) error    { k.see(obj, false); return nil }
func (k *keyring) Update(obj any) error { k.see(obj, false); return nil }
func (k *keyring) Delete(obj any) error { k.see(obj, true); return nil }
func (k *keyring) Resync() error        { return nil }

// Replace takes a whole list in: what was seen before and is not there is gone.
func (k *keyring) Replace(objs []any, _ string) error {
	listed := sets.New[string]()
	for _, obj := range objs {
		k.see(obj, false)
		if key, ok := obj.(*v1alpha1.APIKey); ok {
			listed.Insert(key.Name)
		}
	}
	var gone []*v1alpha1.APIKey
	k.mu.Lock()
	for name, s := range k.owners {
		if last := s.last(); last.key != nil && !last.gone && !listed.Has(name) {
			gone = append(gone, last.key)
		}
	}
	k.mu.Unlock()
	for _, key := range gone {
		k.see(key, true)
	}
	return nil
}
