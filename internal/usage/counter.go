// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"cmp"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// ID names a version of a key: the UID of its APIKey, and its key ID.
type ID struct {
	UID   types.UID `json:"uid"`
	KeyID string    `json:"keyID"`
}

// Compare is for the order of versions in answers.
func (id ID) Compare(other ID) int {
	return cmp.Or(strings.Compare(string(id.UID), string(other.UID)), strings.Compare(id.KeyID, other.KeyID))
}

// Counter counts the requests that bore one version of a key. Its methods may be
// called from any number of goroutines; those of a nil Counter do nothing.
type Counter struct {
	requests atomic.Int64
	// lastUsed is in seconds since 1970, by this process' clock.
	lastUsed atomic.Int64
	// origins is nil unless the version is retiring, and people want to know who uses it.
	origins atomic.Pointer[origins]

	id ID

	// The rest belongs to the Table, under its lock.

	// holders are the entries of indexes that hold this counter.
	holders int
	// departed is when the last of them went.
	departed time.Time
	// answered is what requests was at changed, the scan that last found something new.
	answered int64
	changed  uint64
}

// Count counts a request at that time.
func (c *Counter) Count(at time.Time) {
	if c == nil {
		return
	}
	// The time first: a reader of the number and then the time has a time that is not
	// before that of any request in the number.
	for second := at.Unix(); ; {
		last := c.lastUsed.Load()
		if second <= last || c.lastUsed.CompareAndSwap(last, second) {
			break
		}
	}
	c.requests.Add(1)
}

// Watched reports whether CountFrom is to be called, too.
func (c *Counter) Watched() bool { return c != nil && c.origins.Load() != nil }

// CountFrom counts where a request that Count has counted came from: endpoint is the
// contract by which it was asked about, and a constant.
func (c *Counter) CountFrom(endpoint string, gateway netip.Addr) {
	if c == nil {
		return
	}
	if o := c.origins.Load(); o != nil {
		o.count(origin{endpoint: endpoint, gateway: gateway.Unmap().WithZone("")})
	}
}

// MaxOrigins is how many origins of one version are told apart.
const MaxOrigins = 16

// origin is where a request came from.
type origin struct {
	endpoint string
	gateway  netip.Addr
}

// origins counts by origin, in slots that are taken once and for all.
type origins struct {
	slots [MaxOrigins]struct {
		who      atomic.Pointer[origin]
		requests atomic.Int64
	}
	// others came when every slot was taken.
	others atomic.Int64
}

func (o *origins) count(from origin) {
	for i := range o.slots {
		slot := &o.slots[i]
		who := slot.who.Load()
		if who == nil {
			taken := from
			if slot.who.CompareAndSwap(nil, &taken) {
				who = &taken
			} else {
				who = slot.who.Load()
			}
		}
		if *who == from {
			slot.requests.Add(1)
			return
		}
	}
	o.others.Add(1)
}

// sources returns what was counted; what had no slot has neither endpoint nor gateway.
func (o *origins) sources() []Source {
	if o == nil {
		return nil
	}
	var found []Source
	for i := range o.slots {
		who := o.slots[i].who.Load()
		if who == nil {
			break
		}
		if requests := o.slots[i].requests.Load(); requests > 0 {
			found = append(found, Source{Endpoint: who.endpoint, Gateway: who.gateway.String(), Requests: requests})
		}
	}
	if others := o.others.Load(); others > 0 {
		found = append(found, Source{Requests: others})
	}
	return found
}
