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

	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	// Collector has its metrics.
	prometheus.Collector

	reader    client.Reader
	namespace string
	clock     clock.PassiveClock
	// recent and consistent are two kinds of list: see look and snapshot.
	recent, consistent cachedList
	metrics            *membersMetrics

	mu   sync.Mutex
	seen map[types.UID]observation
}

// observation is what this process has itself seen of one Lease.
type observation struct {
	// resourceVersion changes with each renewal.
	resourceVersion string
	// changedAt is when this process had the answer, or the event, that first showed
	// it: the renewal was sent before that.
	changedAt time.Time
}

// NewMembers returns the Members whose Leases are in namespace. The reader must
// read the API server itself, never a cache.
func NewMembers(reader client.Reader, namespace string, clock clock.PassiveClock) *Members {
	metrics := newMembersMetrics()
	return &Members{
		Collector: metrics,
		reader:    reader, namespace: namespace, clock: clock,
		recent: newCachedList(), consistent: newCachedList(), metrics: metrics,
		seen: map[types.UID]observation{},
	}
}

// Member is one auth server, as one list showed it.
type Member struct {
	// Name of its Lease.
	Name string
	// LastRenewed is what the replica's own clock said; it is for people to
	// read, nothing is decided by it.
	LastRenewed time.Time

	applied report
	silence time.Duration
	bounds  bounds
	lease   *coordinationv1.Lease
}

// runOut reports whether the Lease has expired: the replica is known to serve nothing.
func (m *Member) runOut() bool { return m.silence > m.bounds.staleness+margin(m.bounds.staleness) }

// suspect reports whether the replica has been silent for so long that it is known to
// call no key unknown any more.
func (m *Member) suspect() bool { return m.silence > m.bounds.suspect+margin(m.bounds.suspect) }

// decides reports whether the replica may call a key unknown.
func (m *Member) decides() bool { return !m.suspect() && m.applied.undecided == "" }

// Acknowledgement says who has still to apply a change.
type Acknowledgement struct {
	// Missing are the auth servers that have not applied it.
	Missing []Member
	// Of is how many have to apply it.
	Of int
	// Again is when to ask again even if no Lease changes: at most Patience from now,
	// sooner if some Lease expires sooner.
	Again time.Duration
}

// soonest is the least Again: a list that is made too soon may be a cached one.
const soonest = 50 * time.Millisecond

// Complete reports whether nobody is waited for.
func (a Acknowledgement) Complete() bool { return len(a.Missing) == 0 }

// Terms are the revisions of what an APIKey is accepted by beside itself.
type Terms struct {
	// Organization and Namespace are resourceVersions.
	Organization, Namespace string
}

// Registration says who has still to load a new key, and its Terms, before the key may be
// published.
func (m *Members) Registration(ctx context.Context, wait Wait, terms Terms) (Acknowledgement, error) {
	return m.ask(ctx, changeRegistration, wait, func(s Snapshot) Acknowledgement { return s.registration(wait.Revision, terms) })
}

// Revocation says who may still accept what was revoked.
func (m *Members) Revocation(ctx context.Context, wait Wait) (Acknowledgement, error) {
	return m.ask(ctx, changeRevocation, wait, func(s Snapshot) Acknowledgement { return s.revocation(wait.Revision) })
}

// Enforcement says who may still apply an earlier revision of an Organization.
func (m *Members) Enforcement(ctx context.Context, wait Wait) (Acknowledgement, error) {
	return m.ask(ctx, changeEnforcement, wait, func(s Snapshot) Acknowledgement { return s.enforcement(wait.Revision) })
}

// ask says who has still to apply a change, by judge, and counts it once complete.
func (m *Members) ask(ctx context.Context, change string, wait Wait, judge func(Snapshot) Acknowledgement) (Acknowledgement, error) {
	found, err := m.find(ctx, wait, judge)
	if err == nil && found.Of > 0 && found.Complete() {
		m.metrics.counted(change, m.clock.Since(wait.Since))
	}
	return found, err
}

// find judges a list of any API server's cache where one can be enough, or else a
// consistent one.
func (m *Members) find(ctx context.Context, wait Wait, judge func(Snapshot) Acknowledgement) (Acknowledgement, error) {
	if wait.MinResourceVersion != "" {
		look, err := m.look(ctx, wait.MinResourceVersion)
		if err != nil {
			return Acknowledgement{}, err
		}
		if found := judge(look); found.Of > 0 && found.Complete() && look.decides() {
			return found, nil
		}
	}
	snapshot, err := m.snapshot(ctx, wait.Since)
	if err != nil {
		return Acknowledgement{}, err
	}
	return judge(snapshot), nil
}

// Snapshot is what one list of the Leases showed.
type Snapshot struct {
	members []Member
	// revision is the list's.
	revision string
	asked    time.Time
}

// decides reports whether each replica may call a key unknown. Where one may not, its
// silence matters, which only a consistent list shows.
func (s Snapshot) decides() bool {
	return !slices.ContainsFunc(s.members, func(m Member) bool { return !m.decides() })
}

// look lists the Leases as they were at minResourceVersion or later: the resourceVersion
// of a Lease that says that its replica has applied the change in question. A replica that
// is not in that list writes its Lease after minResourceVersion, and lists the APIKeys
// later still, and so sees the change. An API server answers this from its cache.
//
// It shows no silences, for the answer may be old.
func (m *Members) look(ctx context.Context, minResourceVersion string) (Snapshot, error) {
	usable := func(last Snapshot) bool {
		// Revisions begin anew when etcd is restored from a backup, which takes longer.
		return hasApplied(last.revision, minResourceVersion) && m.clock.Since(last.asked) < Patience
	}
	return m.recent.share(ctx, usable, func() (Snapshot, error) {
		asked := m.clock.Now()
		list, err := m.list(ctx, metav1.ListOptions{
			ResourceVersion: minResourceVersion, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		})
		if err != nil {
			return Snapshot{}, err
		}
		look := Snapshot{revision: list.ResourceVersion, asked: asked}
		for i := range list.Items {
			look.members = append(look.members, memberOf(&list.Items[i], 0))
		}
		return look, nil
	})
}

// snapshot lists the Leases as they are now, or were at some time after since and a
// moment ago; the change in question stood at since.
//
// The list is a consistent read: a replica that is not in it writes its Lease
// later, and lists later still, so it sees whatever stood before this call.
func (m *Members) snapshot(ctx context.Context, since time.Time) (Snapshot, error) {
	usable := func(last Snapshot) bool {
		return last.asked.After(since) && m.clock.Since(last.asked) < maxSnapshotAge
	}
	return m.consistent.share(ctx, usable, func() (Snapshot, error) {
		// A silence ends when this list is asked for: a pause after it must not make
		// an old answer look like a long silence. And it begins when a list was
		// answered: the renewal that it showed may have been sent while it took.
		asked := m.clock.Now()
		list, err := m.list(ctx, metav1.ListOptions{})
		if err != nil {
			return Snapshot{}, err
		}
		snapshot := m.observe(list.Items, asked, m.clock.Now())
		snapshot.revision, snapshot.asked = list.ResourceVersion, asked
		m.metrics.observed(snapshot.members)
		return snapshot, nil
	})
}

func (m *Members) list(ctx context.Context, options metav1.ListOptions) (*coordinationv1.LeaseList, error) {
	list := &coordinationv1.LeaseList{}
	err := m.reader.List(ctx, list, client.InNamespace(m.namespace), LeaseLabels(), &client.ListOptions{Raw: &options})
	if err != nil {
		return nil, fmt.Errorf("list leases of auth servers: %w", err)
	}
	return list, nil
}

// Notice records a Lease that an informer has shown, sooner than the next list: a silence
// begins there. That it lasts, only a consistent list shows.
func (m *Members) Notice(lease *coordinationv1.Lease) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen, ok := m.seen[lease.UID]
	if ok && !later(lease.ResourceVersion, seen.resourceVersion) {
		return // a list was quicker
	}
	m.seen[lease.UID] = observation{resourceVersion: lease.ResourceVersion, changedAt: m.clock.Now()}
}

// observe records the Leases of a list that was asked for and answered at these times.
func (m *Members) observe(leases []coordinationv1.Lease, asked, answered time.Time) Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	present := make(map[types.UID]struct{}, len(leases))
	snapshot := Snapshot{members: make([]Member, 0, len(leases))}
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
		snapshot.members = append(snapshot.members, memberOf(lease, asked.Sub(seen.changedAt)))
	}
	for uid := range m.seen {
		if _, ok := present[uid]; !ok {
			delete(m.seen, uid)
		}
	}
	slices.SortFunc(snapshot.members, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return snapshot
}

func memberOf(lease *coordinationv1.Lease, silence time.Duration) Member {
	member := Member{
		Name:    lease.Name,
		applied: reportOf(lease),
		silence: silence,
		lease:   lease,
		bounds:  leaseBounds(lease),
	}
	if lease.Spec.RenewTime != nil {
		member.LastRenewed = lease.Spec.RenewTime.Time
	}
	return member
}

// registration says who has still to load a new key that stands at revision, or its terms:
// those that may call a key unknown and have not applied all of it. A replica that is
// silent, or says that its watch fails, calls no key unknown, so nothing waits for it.
func (s Snapshot) registration(revision string, terms Terms) Acknowledgement {
	needed := report{apiKeys: revision, organizations: terms.Organization, namespaces: terms.Namespace}
	var found Acknowledgement
	for _, member := range s.members {
		if !member.decides() {
			continue
		}
		found.Of++
		if !member.applied.includes(needed) {
			found.Missing = append(found.Missing, member)
		}
	}
	return found
}

// revocation says who may still accept what was revoked at revision: everybody who
// has not applied it and is not known to be fenced.
func (s Snapshot) revocation(revision string) Acknowledgement {
	return s.serving(func(m *Member) bool { return hasApplied(m.applied.apiKeys, revision) })
}

// enforcement is revocation for a change of an Organization.
func (s Snapshot) enforcement(revision string) Acknowledgement {
	return s.serving(func(m *Member) bool { return hasApplied(m.applied.organizations, revision) })
}

// serving says who has not applied a change and is not known to be fenced.
func (s Snapshot) serving(applied func(*Member) bool) Acknowledgement {
	found := Acknowledgement{Again: Patience}
	for _, member := range s.members {
		if member.runOut() {
			continue
		}
		found.Of++
		if !applied(&member) {
			found.Missing = append(found.Missing, member)
			left := member.bounds.staleness + margin(member.bounds.staleness) - member.silence
			found.Again = max(min(found.Again, left+time.Millisecond), soonest)
		}
	}
	return found
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
		} else if cause := members[i].applied.undecided; cause != "" {
			fmt.Fprintf(&text, " (cannot watch: %+.80q)", cause)
		}
	}
	return text.String()
}
