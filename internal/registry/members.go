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
	// looks and surveys are two kinds of list: see Look and Survey.
	looks, surveys rollCall
	metrics        *membersMetrics

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
		looks: newRollCall(), surveys: newRollCall(), metrics: metrics,
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

// runOut reports whether the replica is known to serve nothing any more.
func (m *Member) runOut() bool { return m.silence > m.bounds.staleness+margin(m.bounds.staleness) }

// suspect reports whether the replica has been silent for so long that it is known to
// call no key unknown any more.
func (m *Member) suspect() bool { return m.silence > m.bounds.suspect+margin(m.bounds.suspect) }

// decides reports whether the replica may call a key unknown.
func (m *Member) decides() bool { return !m.suspect() && m.applied.undecided == "" }

// Acknowledgement says who has still to apply a change.
type Acknowledgement struct {
	// Missing are those that are waited for.
	Missing []Member
	// Of is how many could be waited for.
	Of int
	// Again is when it is worth to ask again although nothing was heard: at most
	// Patience from now, sooner if somebody is counted out sooner.
	Again time.Duration
}

// soonest is the least Again: who asks too soon may be told what was found a moment ago.
const soonest = 50 * time.Millisecond

// Complete reports whether nobody is waited for.
func (a Acknowledgement) Complete() bool { return len(a.Missing) == 0 }

// Terms are the revisions of what an APIKey is accepted by beside itself.
type Terms struct {
	// Organization and Namespace are resourceVersions.
	Organization, Namespace string
}

// Registration says who has still to learn of a new key, and of the terms that it is
// accepted by, before the key may be given out.
func (m *Members) Registration(ctx context.Context, wait Wait, terms Terms) (Acknowledgement, error) {
	return m.ask(ctx, changeRegistration, wait, func(s Survey) Acknowledgement { return s.registration(wait.Revision, terms) })
}

// Revocation says who may still accept what was revoked.
func (m *Members) Revocation(ctx context.Context, wait Wait) (Acknowledgement, error) {
	return m.ask(ctx, changeRevocation, wait, func(s Survey) Acknowledgement { return s.revocation(wait.Revision) })
}

// Enforcement says who may still go by what an Organization was.
func (m *Members) Enforcement(ctx context.Context, wait Wait) (Acknowledgement, error) {
	return m.ask(ctx, changeEnforcement, wait, func(s Survey) Acknowledgement { return s.enforcement(wait.Revision) })
}

// ask says who has still to apply a change, as judge finds in what the Leases say.
func (m *Members) ask(ctx context.Context, change string, wait Wait, judge func(Survey) Acknowledgement) (Acknowledgement, error) {
	found, err := m.find(ctx, wait, judge)
	if err == nil && found.Of > 0 && found.Complete() {
		m.metrics.counted(change, m.clock.Since(wait.Since))
	}
	return found, err
}

// find takes the quick look where one can be enough, and surveys if it was not.
func (m *Members) find(ctx context.Context, wait Wait, judge func(Survey) Acknowledgement) (Acknowledgement, error) {
	if wait.Witness != "" {
		look, err := m.look(ctx, wait.Witness)
		if err != nil {
			return Acknowledgement{}, err
		}
		if found := judge(look); found.Of > 0 && found.Complete() && look.decides() {
			return found, nil
		}
	}
	survey, err := m.survey(ctx, wait.Since)
	if err != nil {
		return Acknowledgement{}, err
	}
	return judge(survey), nil
}

// Survey is what one list of the Leases showed.
type Survey struct {
	members []Member
	// revision is the list's.
	revision string
	asked    time.Time
}

// decides reports whether each replica may call a key unknown. Where one does not, how
// long ago that was matters, and only a survey tells.
func (s Survey) decides() bool {
	return !slices.ContainsFunc(s.members, func(m Member) bool { return !m.decides() })
}

// look lists the Leases as they were at witness or later: the resourceVersion of a
// Lease that says that its replica has applied the change in question. Whoever is
// not in that list writes its Lease later than the witness, and lists the APIKeys
// later still, and so sees the change. An API server answers this from memory.
//
// It tells nothing of silences, for an answer may be old.
func (m *Members) look(ctx context.Context, witness string) (Survey, error) {
	usable := func(last Survey) bool {
		// Revisions begin anew when etcd is restored from a backup, which takes longer.
		return hasApplied(last.revision, witness) && m.clock.Since(last.asked) < Patience
	}
	return m.looks.share(ctx, usable, func() (Survey, error) {
		asked := m.clock.Now()
		list, err := m.list(ctx, metav1.ListOptions{ResourceVersion: witness, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan})
		if err != nil {
			return Survey{}, err
		}
		look := Survey{revision: list.ResourceVersion, asked: asked}
		for i := range list.Items {
			look.members = append(look.members, memberOf(&list.Items[i], 0))
		}
		return look, nil
	})
}

// survey lists the Leases as they are now, or were at some time after since and a
// moment ago; the change in question stood at since.
//
// The list is a consistent read: a replica that is not in it writes its Lease
// later, and lists later still, so it sees whatever stood before this call.
func (m *Members) survey(ctx context.Context, since time.Time) (Survey, error) {
	usable := func(last Survey) bool {
		return last.asked.After(since) && m.clock.Since(last.asked) < surveyShared
	}
	return m.surveys.share(ctx, usable, func() (Survey, error) {
		// A silence ends when this list is asked for: a pause after it must not make
		// an old answer look like a long silence. And it begins when a list was
		// answered: the renewal that it showed may have been sent while it took.
		asked := m.clock.Now()
		list, err := m.list(ctx, metav1.ListOptions{})
		if err != nil {
			return Survey{}, err
		}
		survey := m.observe(list.Items, asked, m.clock.Now())
		survey.revision, survey.asked = list.ResourceVersion, asked
		m.metrics.surveyed(survey.members)
		return survey, nil
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

// Notice takes note of a Lease that an informer has shown, which tells sooner than the
// next list when a silence has begun. That a Lease was not renewed since, only a
// consistent list tells.
func (m *Members) Notice(lease *coordinationv1.Lease) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen, ok := m.seen[lease.UID]
	if ok && !later(lease.ResourceVersion, seen.resourceVersion) {
		return // a list was quicker
	}
	m.seen[lease.UID] = observation{resourceVersion: lease.ResourceVersion, changedAt: m.clock.Now()}
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

// registration says who has still to learn of a new key that stands at revision, or of
// its terms: those that may call a key unknown and have not applied all of it. A replica
// that was not heard from, or says that its watch fails, calls no key unknown, so nobody
// needs to wait for it.
func (s Survey) registration(revision string, terms Terms) Acknowledgement {
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
func (s Survey) revocation(revision string) Acknowledgement {
	return s.serving(func(m *Member) bool { return hasApplied(m.applied.apiKeys, revision) })
}

// enforcement is revocation for a change of an Organization.
func (s Survey) enforcement(revision string) Acknowledgement {
	return s.serving(func(m *Member) bool { return hasApplied(m.applied.organizations, revision) })
}

// serving says who has not applied a change and is not known to be fenced.
func (s Survey) serving(applied func(*Member) bool) Acknowledgement {
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
