// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/puzpuzpuz/xsync/v4"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/sets"

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
	// organizations by metadata.name. A slot stays when its Organization goes:
	// grants point to it, and it may come back.
	organizations map[string]*organizationSlot
	// comparing, while a comparison runs, has what was removed since it began; nil when
	// none runs, or a whole list came that is newer than that of the comparison.
	comparing *removals
}

// removals are APIKeys by UID, and Organizations by name, that are gone.
type removals struct {
	claims        sets.Set[types.UID]
	organizations sets.Set[string]
}

// grant is an entry of the index.
type grant struct {
	claim        *claim
	organization *organizationSlot
	version      version
	keyID        string
	counter      *usage.Counter
}

// organizationSlot lets one store change every grant of an organization.
type organizationSlot struct {
	state atomic.Pointer[organization]
}

// newIndex returns an index without entries; counters may be nil.
func newIndex(counters *usage.Table) *index {
	return &index{
		usage:         counters,
		grants:        xsync.NewMap[keys.Digest, *grant](),
		claims:        map[types.UID]*claim{},
		organizations: map[string]*organizationSlot{},
	}
}

// lookup returns the entry of digest, or nil.
func (ix *index) lookup(digest keys.Digest) *grant {
	g, _ := ix.grants.Load(digest)
	return g
}

// judge says what g is worth at now. A nil g is an unknown key. Of an expired one the Grant
// says whose it was, and nothing that it may do.
func (g *grant) judge(now time.Time) (Grant, Verdict) {
	if g == nil {
		return Grant{}, Unknown
	}
	org := g.organization.state.Load()
	if org == nil || !org.active || org.id != g.claim.organizationID {
		return Grant{}, Unknown
	}
	grant := Grant{KeyID: g.keyID, Namespace: g.claim.namespace, Name: g.claim.name, Organization: org.id}
	if org.maxKeyAge > 0 && now.Sub(g.version.registered) >= org.maxKeyAge {
		return grant, Expired
	}
	if g.claim.expired || !g.claim.expiresAt.IsZero() && !now.Before(g.claim.expiresAt) {
		return grant, Expired
	}
	grant.Scopes = g.claim.scopes.Intersect(org.scopes)
	grant.Imported = g.version.imported
	grant.Counter = g.counter
	return grant, Accepted
}

// apply takes a claim in, unless the index holds a later one of the same APIKey:
// events may come twice or late. It reports whether the claim was taken, and
// whether it takes away something that was accepted.
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
	if previous != nil {
		reduces = ix.withdraw(previous, &c) || previous.scopes.Without(c.scopes) != 0
	}
	for _, v := range c.versions {
		ix.grant(v, &c)
	}
	return true, reduces
}

// grant makes v's digest mean c, unless an older APIKey has it already.
func (ix *index) grant(v version, c *claim) {
	holder := ix.lookup(v.digest)
	if holder != nil && holder.claim.uid != c.uid && holder.claim.older(c) {
		return
	}
	g := &grant{claim: c, organization: ix.slot(c.organizationName), version: v, keyID: v.digest.KeyID()}
	g.counter = ix.usage.Hold(c.uid, g.keyID, v.retiring)
	ix.grants.Store(v.digest, g)
	if holder != nil {
		ix.usage.Release(holder.counter)
	}
}

// remove drops an APIKey that is gone.
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
	return ix.withdraw(previous, nil)
}

// withdraw drops the digests that c claimed, but for those that next, unless it is
// nil, claims too.
func (ix *index) withdraw(c, next *claim) (reduces bool) {
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

// applyOrganization takes an Organization in, unless a later one is known.
func (ix *index) applyOrganization(name string, org organization) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.applyOrganizationLocked(name, org)
}

func (ix *index) applyOrganizationLocked(name string, org organization) (taken bool) {
	slot := ix.slot(name)
	if previous := slot.state.Load(); previous != nil && !later(org.revision, previous.revision) {
		return false
	}
	slot.state.Store(&org)
	return true
}

// removeOrganization drops an Organization that is gone.
func (ix *index) removeOrganization(name string) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.removeOrganizationLocked(name)
}

func (ix *index) removeOrganizationLocked(name string) {
	if ix.comparing != nil {
		ix.comparing.organizations.Insert(name)
	}
	ix.slot(name).state.Store(nil)
}

// replaceOrganizations makes the index hold exactly these, as of a whole list.
func (ix *index) replaceOrganizations(orgs map[string]organization) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.comparing = nil
	for name := range ix.organizations {
		if _, ok := orgs[name]; !ok {
			ix.removeOrganizationLocked(name)
		}
	}
	for name, org := range orgs {
		ix.applyOrganizationLocked(name, org)
	}
}

func (ix *index) slot(name string) *organizationSlot {
	slot := ix.organizations[name]
	if slot == nil {
		slot = &organizationSlot{}
		ix.organizations[name] = slot
	}
	return slot
}

// discard gives back the counters of an index that nobody uses any more.
func (ix *index) discard() {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	for _, g := range ix.grants.All() {
		ix.usage.Release(g.counter)
	}
}

// size returns the number of hashes in the index.
func (ix *index) size() int { return ix.grants.Size() }

// later reports whether revision a comes after b. Revisions that cannot be
// compared never reach the index: the feed refuses them.
func later(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order > 0
}
