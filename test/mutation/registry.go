// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package mutation

import "slices"

// All returns every mutation: the protective steps of internal/registry.
func All() []Mutation {
	return slices.Concat(ofReplica(), ofFeed(), ofVersions(), ofMembers(), ofRepair())
}

const (
	simulation  = "TestSimulation"
	brokenWatch = "TestAWatchThatLosesDoublesAndReorders"
)

// ofReplica are the steps on the side of the auth server.
func ofReplica() []Mutation {
	return []Mutation{
		{
			Name: "fence",
			Test: simulation,
			Seed: 7,
			Why:  "a request is answered without a look at the deadline: only the end of the session stops a replica, whenever it comes to notice",
			File: "internal/registry/session.go",
			Old:  "case s.fenced(at):",
			New:  "case s.broken.Load():",
		},
		{
			Name: "session",
			Test: simulation,
			Why:  "a request looks up in the index of its session, and checks the deadline of the newest one",
			File: "internal/registry/replica.go",
			Old:  "\treturn s.authenticate(digest, r.config.Clock.Now)\n",
			New: `	entry := s.index.lookup(digest)
	at := r.config.Clock.Now()
	if newest := r.current.Load(); newest != nil && !newest.fenced(at) {
		if grant, verdict := entry.judge(at); verdict == Accepted {
			return grant, verdict
		}
	}
	return s.authenticate(digest, r.config.Clock.Now)
`,
		},
		{
			Name: "late-renewal",
			Test: simulation,
			Why:  "a renewal whose answer comes after the deadline extends the session all the same",
			File: "internal/registry/session.go",
			Old:  "if s.fenced(answered) {",
			New:  "if s.broken.Load() {",
		},
		{
			Name: "zero-before-list",
			Test: simulation,
			Seed: 27,
			Why:  "a replica lists first, and writes its Lease afterwards",
			File: "internal/registry/replica.go",
			Old: `	lease, err := r.join(ctx, writer, joined)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}

	ix := newIndex(r.config.Usage)
	s := newSession(ix, bounds{staleness: r.config.MaxStaleness, suspect: r.config.SuspectAfter}, joined)
	reporter := newReporter(r, s, writer, lease)
	feed := startFeed(ctx, r.config, ix, reporter.wake, end)
`,
			New: `	ix := newIndex(r.config.Usage)
	s := newSession(ix, bounds{staleness: r.config.MaxStaleness, suspect: r.config.SuspectAfter}, joined)
	reporter := newReporter(r, s, writer, nil)
	feed := startFeed(ctx, r.config, ix, reporter.wake, end)
	listing, listed := context.WithTimeout(ctx, r.config.MaxStaleness)
	feed.listed(listing)
	listed()
	joined = r.config.Clock.Now()
	s.renewed.Store(&joined)
	lease, err := r.join(ctx, writer, joined)
	if err != nil {
		end(nil)
		feed.stop()
		return fmt.Errorf("join: %w", err)
	}
	reporter.lease = lease
`,
		},
	}
}

// ofFeed are the steps that keep a replica from calling a new key unknown.
func ofFeed() []Mutation {
	return []Mutation{
		{
			Name: "undecided",
			Test: simulation,
			Seed: 2,
			Why:  "a replica that cannot watch says so in its Lease, so that no new key waits for it, and calls keys unknown all the same",
			File: "internal/registry/reporter.go",
			Old:  "\tr.session.doubt()\n",
			New:  "",
		},
		{
			Name: "decided-before-list",
			Test: simulation,
			Seed: 139,
			Why:  "a replica that can watch again calls keys unknown as soon as its Lease says so, before it has what was registered meanwhile",
			File: "internal/registry/reporter.go",
			Old:  "\t\tr.undecided, r.decidedAt = \"\", answered\n",
			New:  "\t\tr.undecided = \"\"\n\t\tr.session.trust()\n",
		},
		{
			Name: "confirmation",
			Test: simulation,
			Seed: 352,
			Why:  "a bookmark of a second watch confirms what was applied although changes came before it",
			File: "internal/registry/confirm.go",
			Old:  "\tselect {\n\tcase <-ctx.Done():\n\tcase event, ok := <-w.ResultChan():\n",
			New:  "again:\n\tselect {\n\tcase <-ctx.Done():\n\tcase event, ok := <-w.ResultChan():\n\t\tif ok && event.Type != watch.Bookmark {\n\t\t\tgoto again\n\t\t}\n",
		},
		{
			Name: "namespace-of-a-new-key",
			Test: simulation,
			Seed: 12,
			Why:  "a new key is given out before every replica has applied the namespace that it is permitted by",
			File: "internal/registry/lease.go",
			Old:  " &&\n\t\thasApplied(r.namespaces, other.namespaces)",
			New:  "",
		},
	}
}

// ofVersions are the steps by which one version of an APIKey ends and others live on.
func ofVersions() []Mutation {
	return []Mutation{
		{
			Name: "revoked-version",
			Test: simulation,
			Seed: 8,
			Why:  "a version is claimed whatever its state is, so that one which was revoked is accepted as long as its entry stays",
			File: "internal/registry/claim.go",
			Old:  "\t\tif !v.State.Accepted() || ended(key, v) {\n",
			New:  "\t\tif ended(key, v) {\n",
		},
		{
			Name: "withdrawal-of-version",
			Test: simulation,
			Why:  "what an APIKey claimed before is dropped only when the APIKey goes, not when a version of it does",
			File: "internal/registry/index.go",
			Old:  "\t\tif next != nil && next.has(v.digest) {\n",
			New:  "\t\tif next != nil {\n",
		},
	}
}

// ofMembers are the steps on the side of the manager.
func ofMembers() []Mutation {
	const members = "internal/registry/members.go"
	return []Mutation{
		{
			Name: "live-list",
			Test: simulation,
			Why:  "the manager's lists of Leases may come from any cache, however old",
			File: members,
			Old:  "\tlist := &coordinationv1.LeaseList{}\n",
			New:  "\tlist := &coordinationv1.LeaseList{}\n\toptions = metav1.ListOptions{ResourceVersion: \"0\"}\n",
		},
		{
			Name: "clock-before-list",
			Test: simulation,
			Why:  "the manager reads its clock after the list, so that an old answer looks like a long silence",
			File: members,
			Old:  "\t\tsurvey := m.observe(list.Items, asked, m.clock.Now())\n",
			New:  "\t\tasked = m.clock.Now()\n\t\tsurvey := m.observe(list.Items, asked, asked)\n",
		},
		{
			Name: "silence-answered",
			Test: simulation,
			Why:  "a silence begins when the list that showed the last renewal was asked for, before that renewal was sent, perhaps",
			File: members,
			Old:  "seen.changedAt = answered",
			New:  "seen.changedAt = asked",
		},
		{
			Name: "margin",
			Test: simulation,
			Why:  "a Lease counts as run out as soon as its bound has passed, however the clocks drift",
			File: members,
			Old:  "return max(time.Second, bound/500)",
			New:  "return 0",
		},
	}
}

// ofRepair are the steps that bound the damage of a watch that breaks its contract.
func ofRepair() []Mutation {
	return []Mutation{
		{
			Name: "comparison",
			Test: brokenWatch,
			Why:  "a difference between the index and a consistent list is counted, and stays",
			File: "internal/registry/compare.go",
			Old:  "\t\tif taken, _ := ix.applyLocked(listed[i]); taken {\n",
			New:  "\t\tif taken := ix.claims[listed[i].uid] == nil; taken {\n",
		},
	}
}
