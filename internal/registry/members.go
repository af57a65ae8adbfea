// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// margin is added to a replica's bound before it counts as passed. Two clocks that
// each measure a duration differ by their drift, which NTP keeps below 500 parts
// in a million for each (RFC 5905, section 11.3); this leaves twice as much for both.
func margin(bound time.Duration) time.Duration { return max(time.Second, bound/500) }

// Members is the manager's side of the registry: who the auth servers are, and
// what each has applied. It is safe for concurrent use.
type Members struct {
	reader    client.Reader
	namespace string
	clock     clock.PassiveClock

	mu   sync.Mutex
	seen map[types.UID]observation
}

// observation is what this process has itself seen of one Lease.
type observation struct {
	// resourceVersion changes with each renewal.
	resourceVersion string
	// changedAt is when this process had the answer that first showed it: the
	// renewal was sent before that.
	changedAt time.Time
}

// NewMembers returns the Members whose Leases are in namespace. The reader must
// read the API server itself, never a cache.
func NewMembers(reader client.Reader, namespace string, clock clock.PassiveClock) *Members {
	return &Members{reader: reader, namespace: namespace, clock: clock, seen: map[types.UID]observation{}}
}

// Member is one auth server, as one live list showed it.
type Member struct {
	// Name of its Lease.
	Name string
	// LastRenewed is what the replica's own clock said; it is for people to
	// read, nothing is decided by it.
	LastRenewed time.Time

	appliedKeys, appliedOrganizations string
	silence                           time.Duration
	bounds                            bounds
}

// runOut reports whether the replica is known to serve nothing any more.
func (m *Member) runOut() bool { return m.silence > m.bounds.staleness+margin(m.bounds.staleness) }

// suspect reports whether the replica is known to call no key unknown any more.
func (m *Member) suspect() bool { return m.silence > m.bounds.suspect+margin(m.bounds.suspect) }

// Survey is the answer to one live list.
type Survey struct {
	members []Member
}

// Survey lists the Leases as they are now.
//
// The list is a consistent read: a replica that is not in it writes its Lease
// later, and lists later still, so it sees whatever stood before this call.
func (m *Members) Survey(ctx context.Context) (Survey, error) {
	// A silence ends when this list is asked for: a pause after it must not make
	// an old answer look like a long silence. And it begins when a list was
	// answered: the renewal that it showed may have been sent while it took.
	asked := m.clock.Now()
	list := &coordinationv1.LeaseList{}
	if err := m.reader.List(ctx, list, client.InNamespace(m.namespace), LeaseLabels()); err != nil {
		return Survey{}, fmt.Errorf("list leases of auth servers: %w", err)
	}
	return m.observe(list.Items, asked, m.clock.Now()), nil
}

// observe takes note of the Leases, as a list that was asked for and answered at
// these times has shown them, and returns what they say.
func (m *Members) observe(leases []coordinationv1.Lease, asked, answered time.Time) Survey {
	m.mu.Lock()
	defer m.mu.Unlock()
	present := make(map[types.UID]struct{}, len(leases))
	survey := Survey{members: make([]Member, 0, len(leases))}
	for i := range leases {
		lease := &leases[i]
		present[lease.UID] = struct{}{}
		seen, ok := m.seen[lease.UID]
		if !ok || seen.resourceVersion != lease.ResourceVersion {
			// Answers may overtake each other. Then a Lease seems to change back;
			// that makes a silence look shorter, never longer.
			if seen.changedAt.Before(answered) {
				seen.changedAt = answered
			}
			seen.resourceVersion = lease.ResourceVersion
			m.seen[lease.UID] = seen
		}
		survey.members = append(survey.members, memberOf(lease, asked.Sub(seen.changedAt)))
	}
	for uid := range m.seen {
		if _, ok := present[uid]; !ok {
			delete(m.seen, uid)
		}
	}
	slices.SortFunc(survey.members, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return survey
}

func memberOf(lease *coordinationv1.Lease, silence time.Duration) Member {
	member := Member{
		Name:                 lease.Name,
		appliedKeys:          lease.Annotations[annotationAppliedAPIKeys],
		appliedOrganizations: lease.Annotations[annotationAppliedOrganizations],
		silence:              silence,
		bounds:               leaseBounds(lease),
	}
	if lease.Spec.RenewTime != nil {
		member.LastRenewed = lease.Spec.RenewTime.Time
	}
	return member
}

// Registration says who has still to learn of a new key that stands at revision,
// or of its Organization at that one's: those that were heard from lately and have
// not applied both. A replica that was not heard from calls no key unknown, so
// nobody needs to wait for it. live is the number of replicas that were heard from.
func (s Survey) Registration(revision, organization string) (waiting []Member, live int) {
	for _, member := range s.members {
		if member.suspect() {
			continue
		}
		live++
		if !hasApplied(member.appliedKeys, revision) || !hasApplied(member.appliedOrganizations, organization) {
			waiting = append(waiting, member)
		}
	}
	return waiting, live
}

// Revocation says who may still accept what was revoked at revision: everybody
// who has not applied it and is not known to be fenced. serving is the number of
// replicas that are not known to be fenced.
func (s Survey) Revocation(revision string) (waiting []Member, serving int) {
	for _, member := range s.members {
		if member.runOut() {
			continue
		}
		serving++
		if !hasApplied(member.appliedKeys, revision) {
			waiting = append(waiting, member)
		}
	}
	return waiting, serving
}

// Describe names members for people: "a, b (last renewed 2026-01-02T15:04:05Z)
// and 3 more". The time is there only for those that have gone silent, so that
// the text of a wait does not change with every renewal.
func Describe(members []Member) string {
	const most = 3
	var text strings.Builder
	for i := range members {
		if i == most {
			fmt.Fprintf(&text, " and %d more", len(members)-most)
			break
		}
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(members[i].Name)
		if members[i].suspect() {
			fmt.Fprintf(&text, " (last renewed %s)", members[i].LastRenewed.UTC().Format(time.RFC3339))
		}
	}
	return text.String()
}
