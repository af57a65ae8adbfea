// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"sync"
	"time"

	"github.com/puzpuzpuz/xsync/v4"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

// index maps the hash of each key to what the key may do. Look-ups take no lock;
// changes take one among themselves.
type index struct {
	grants *xsync.Map[keys.Digest, *grant]
	// usage has the counters, which outlive the index; nil for none.
	usage *usage.Table

	mu sync.Mutex
	// claims by UID: an APIKey that was made anew under the same name is another.
	claims map[types.UID]*claim
	// organizations and namespaces by metadata.name.
	organizations map[string]*organizationEntry
	namespaces    map[string]namespace
	// comparing, while a comparison runs, has what was removed since it began; nil when
	// none runs, or a whole list came that is newer than that of the comparison.
	comparing *removals
}

// removals are APIKeys by UID, and Organizations and Namespaces by name, that are gone.
type removals struct {
	claims                    sets.Set[types.UID]
	organizations, namespaces sets.Set[string]
}

// grant is an entry of the index.
type grant struct {
	claim   *claim
	version version
	keyID   string
	counter *usage.Counter
}

// newIndex returns an index without entries; counters may be nil.
func newIndex(counters *usage.Table) *index {
	return &index{
		usage:         counters,
		grants:        xsync.NewMap[keys.Digest, *grant](),
		claims:        map[types.UID]*claim{},
		organizations: map[string]*organizationEntry{},
		namespaces:    map[string]namespace{},
	}
}

func (ix *index) lookup(digest keys.Digest) *grant {
	g, _ := ix.grants.Load(digest)
	return g
}

// judge returns the Grant of g at now, and whether to accept it. A nil g is an unknown key.
// The Grant of an expired one says whose it was, and permits nothing.
func (g *grant) judge(now time.Time) (Grant, Verdict) {
	if g == nil {
		return Grant{}, Unknown
	}
	org := g.claim.permit.state.Load()
	switch {
	case org == nil || !org.active || org.id != g.claim.organizationID:
		return Grant{}, Unknown
	case org.blocked != nil && org.blocked.Has(v1alpha1.BlockedAPIKey{Namespace: g.claim.namespace, Name: g.claim.name}):
		return Grant{}, Unknown
	case g.version.imported && org.imports == v1alpha1.ImportForbidden:
		return Grant{}, Unknown
	case !g.version.until.IsZero() && !now.Before(g.version.until):
		return Grant{}, Unknown
	}
	grant := Grant{KeyID: g.keyID, Namespace: g.claim.namespace, Name: g.claim.name, Organization: org.id, Imported: g.version.imported}
	grant.ForeignOnly = grant.Imported && org.imports != v1alpha1.ImportAny
	if org.maxKeyAge > 0 && now.Sub(g.version.registered) >= org.maxKeyAge {
		return grant, Expired
	}
	if g.claim.expired || !g.claim.expirationTime.IsZero() && !now.Before(g.claim.expirationTime) {
		return grant, Expired
	}
	grant.Scopes = g.claim.scopes.Intersect(org.scopes)
	grant.Counter = g.counter
	return grant, Accepted
}

// apply applies a claim, unless the index holds a later one of the same APIKey: events
// may come twice or late. It reports whether the claim was taken, and whether it refuses
// something that was accepted.
func (ix *index) apply(c claim) (taken, reduces bool) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	return ix.applyLocked(c)
}

func (ix *index) applyLocked(c claim) (taken, reduces bool) {
	previous := ix.claims[c.uid]
	if previous != nil && !later(c.revision, previous.revision) {
		return false, false
	}
	ix.claims[c.uid] = &c
	if len(c.versions) > 0 {
		c.permit = ix.claimPermit(&c)
	}
	if previous != nil {
		reduces = ix.drop(previous, &c) || previous.scopes.Without(c.scopes) != 0
	}
	for _, v := range c.versions {
		ix.grant(v, &c)
	}
	if previous != nil {
		ix.releasePermit(previous)
	}
	return true, reduces
}

// grant makes v's digest mean c, unless an older APIKey has it already.
func (ix *index) grant(v version, c *claim) {
	holder := ix.lookup(v.digest)
	if holder != nil && holder.claim.uid != c.uid && holder.claim.older(c) {
		return
	}
	g := &grant{claim: c, version: v, keyID: v.digest.KeyID()}
	g.counter = ix.usage.Hold(c.uid, g.keyID, v.retiring)
	ix.grants.Store(v.digest, g)
	if holder != nil {
		ix.usage.Release(holder.counter)
	}
}

func (ix *index) remove(uid types.UID) (reduces bool) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	return ix.removeLocked(uid)
}

func (ix *index) removeLocked(uid types.UID) (reduces bool) {
	if ix.comparing != nil {
		ix.comparing.claims.Insert(uid)
	}
	previous := ix.claims[uid]
	if previous == nil {
		return false
	}
	delete(ix.claims, uid)
	reduces = ix.drop(previous, nil)
	ix.releasePermit(previous)
	return reduces
}

// drop removes the digests of c that next, which may be nil, does not have.
func (ix *index) drop(c, next *claim) (reduces bool) {
	for _, v := range c.versions {
		if next != nil && next.has(v.digest) {
			continue
		}
		// Another APIKey may hold this digest; what it holds is its own.
		if holder := ix.lookup(v.digest); holder != nil && holder.claim.uid == c.uid {
			ix.grants.Delete(v.digest)
			ix.usage.Release(holder.counter)
			reduces = true
		}
	}
	return reduces
}

// replace makes the index hold exactly these claims, as of a whole list.
func (ix *index) replace(claims []claim) {
	listed := sets.New[types.UID]()
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.comparing = nil
	for i := range claims {
		listed.Insert(claims[i].uid)
	}
	for uid := range ix.claims {
		if !listed.Has(uid) {
			ix.removeLocked(uid)
		}
	}
	for i := range claims {
		ix.applyLocked(claims[i])
	}
}

// discard gives back the counters of an index that nobody uses any more.
func (ix *index) discard() {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	for _, g := range ix.grants.All() {
		ix.usage.Release(g.counter)
	}
}

func (ix *index) size() int { return ix.grants.Size() }

// refused returns how many APIKeys and Organizations are invalid.
func (ix *index) refused() (keys, organizations int) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	for _, c := range ix.claims {
		if c.refused {
			keys++
		}
	}
	for _, entry := range ix.organizations {
		if entry.state != nil && entry.state.refused {
			organizations++
		}
	}
	return keys, organizations
}

// later reports whether revision a comes after b. Revisions that cannot be
// compared never reach the index: the feed refuses them.
func later(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order > 0
}
