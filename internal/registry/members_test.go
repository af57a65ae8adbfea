// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// leaseAt is a replica's Lease at a resourceVersion of its own.
func leaseAt(name, resourceVersion, applied string, change ...func(*coordinationv1.Lease)) coordinationv1.Lease {
	writer := leaseWriter{namespace: "system", name: name, holder: "x", maxStaleness: 10 * time.Second, suspectAfter: 4 * time.Second}
	lease := writer.renew(writer.join(nil, epoch), report{apiKeys: applied, organizations: applied, namespaces: applied}, epoch)
	lease.UID, lease.ResourceVersion = types.UID(name), resourceVersion
	for _, f := range change {
		f(lease)
	}
	return *lease
}

func memberNames(members []Member) []string {
	names := []string{}
	for _, m := range members {
		names = append(names, m.Name)
	}
	return names
}

func TestWhoIsWaitedFor(t *testing.T) {
	unreadable := func(l *coordinationv1.Lease) { l.Annotations[annotationAppliedAPIKeys] = "many" }
	lasting := func(seconds *int32) func(*coordinationv1.Lease) {
		return func(l *coordinationv1.Lease) { l.Spec.LeaseDurationSeconds = seconds }
	}
	for name, test := range map[string]struct {
		leases []coordinationv1.Lease
		// silent is how long each Lease has not changed when the question is asked.
		silent                 time.Duration
		registration, revoking []string
		live, serving          int
	}{
		"nobody, when there is nobody": {nil, 0, []string{}, []string{}, 0, 0},
		"nobody, when all have applied": {
			[]coordinationv1.Lease{leaseAt("a", "1", "100"), leaseAt("b", "2", "101")}, 0, []string{}, []string{}, 2, 2},
		"who has not applied": {
			[]coordinationv1.Lease{leaseAt("a", "1", "99"), leaseAt("b", "2", "100")}, 0, []string{"a"}, []string{"a"}, 2, 2},
		"who has applied nothing yet": {
			[]coordinationv1.Lease{leaseAt("a", "1", "0")}, 0, []string{"a"}, []string{"a"}, 1, 1},
		"numbers are compared, not texts": {
			[]coordinationv1.Lease{leaseAt("a", "1", "1000")}, 0, []string{}, []string{}, 1, 1},
		"whose Lease cannot be read": {
			[]coordinationv1.Lease{leaseAt("a", "1", "1", unreadable)}, 0, []string{"a"}, []string{"a"}, 1, 1},
		"a silent one, for a revocation only": {
			[]coordinationv1.Lease{leaseAt("a", "1", "1")}, 6 * time.Second, []string{}, []string{"a"}, 0, 1},
		"a silent one, up to its bound and the margin": {
			[]coordinationv1.Lease{leaseAt("a", "1", "1")}, 11 * time.Second, []string{}, []string{"a"}, 0, 1},
		"no longer when it is fenced for certain": {
			[]coordinationv1.Lease{leaseAt("a", "1", "1")}, 11*time.Second + 1, []string{}, []string{}, 0, 0},
		"for an hour, when a Lease does not say its bound": {
			[]coordinationv1.Lease{leaseAt("a", "1", "1", lasting(nil))}, time.Hour + margin(time.Hour), []string{}, []string{"a"}, 0, 1},
		"for an hour, when a Lease promises more": {
			[]coordinationv1.Lease{leaseAt("a", "1", "1", lasting(ptr.To[int32](math.MaxInt32)))}, time.Hour + margin(time.Hour), []string{}, []string{"a"}, 0, 1},
		"no longer than an hour": {
			[]coordinationv1.Lease{leaseAt("a", "1", "1", lasting(nil)), leaseAt("b", "2", "1", lasting(ptr.To[int32](math.MaxInt32)))},
			time.Hour + margin(time.Hour) + 1, []string{}, []string{}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMembers(nil, "system", testclock.NewFakePassiveClock(epoch))
			m.observe(test.leases, epoch, epoch)
			snapshot := m.observe(test.leases, epoch.Add(test.silent), epoch.Add(test.silent))
			found := snapshot.registration("100", Terms{Organization: "50", Namespace: "30"})
			if got := memberNames(found.Missing); !slices.Equal(got, test.registration) || found.Of != test.live {
				t.Errorf("registration waits for %v of %d, want %v of %d", got, found.Of, test.registration, test.live)
			}
			found = snapshot.revocation("100")
			if got := memberNames(found.Missing); !slices.Equal(got, test.revoking) || found.Of != test.serving {
				t.Errorf("revocation waits for %v of %d, want %v of %d", got, found.Of, test.revoking, test.serving)
			}
		})
	}
}

func TestSilenceIsCountedByThisProcessAlone(t *testing.T) {
	m := NewMembers(nil, "system", testclock.NewFakePassiveClock(epoch))
	// The replica's own clock is a year behind: its renewTime says nothing.
	old := func(l *coordinationv1.Lease) { l.Spec.RenewTime.Time = epoch.AddDate(-1, 0, 0) }
	snapshot := m.observe([]coordinationv1.Lease{leaseAt("a", "1", "1", old)}, epoch, epoch)
	if missing := snapshot.revocation("100").Missing; len(missing) != 1 {
		t.Error("a Lease that was seen for the first time counts as run out")
	}
	// Each renewal begins the silence anew.
	for i := range 5 {
		at := epoch.Add(time.Duration(i) * 9 * time.Second)
		snapshot = m.observe([]coordinationv1.Lease{leaseAt("a", string(rune('2'+i)), "1", old)}, at, at)
		if missing := snapshot.revocation("100").Missing; len(missing) != 1 {
			t.Errorf("a Lease that is renewed counts as run out after %s", at.Sub(epoch))
		}
	}
}

// An informer tells when a silence begins, and never that it lasts.
func TestASilenceBeginsWhenAnInformerHasShownTheLastRenewal(t *testing.T) {
	clock := testclock.NewFakePassiveClock(epoch)
	m := NewMembers(nil, "system", clock)
	last, before := leaseAt("a", "20", "1"), leaseAt("a", "10", "1")
	m.Notice(&last)
	clock.SetTime(epoch.Add(5 * time.Second))
	m.Notice(&before) // late
	m.Notice(&last)   // again

	snapshot := m.observe([]coordinationv1.Lease{last}, epoch.Add(10*time.Second), epoch.Add(10*time.Second))
	if found := snapshot.revocation("100"); len(found.Missing) != 1 || found.Again != time.Second {
		t.Errorf("a second before it is counted out: %d are waited for, again after %s", len(found.Missing), found.Again)
	}
	snapshot = m.observe([]coordinationv1.Lease{last}, epoch.Add(10800*time.Millisecond), epoch.Add(10800*time.Millisecond))
	if found := snapshot.revocation("100"); len(found.Missing) != 1 || found.Again != 201*time.Millisecond {
		t.Errorf("a moment before it is counted out: %d are waited for, again after %s", len(found.Missing), found.Again)
	}
	snapshot = m.observe([]coordinationv1.Lease{last}, epoch.Add(11*time.Second+1), epoch.Add(11*time.Second+1))
	if missing := snapshot.revocation("100").Missing; len(missing) != 0 {
		t.Error("a silence does not begin when an informer shows the last renewal")
	}
	// What the list shows is later than what the informer has brought so far.
	m.Notice(&last)
	renewed := leaseAt("a", "30", "1")
	snapshot = m.observe([]coordinationv1.Lease{renewed}, epoch.Add(20*time.Second), epoch.Add(20*time.Second))
	if missing := snapshot.revocation("100").Missing; len(missing) != 1 {
		t.Error("a renewal that the informer has not brought yet is passed over")
	}
}

func TestALeaseOfTheSameNameMadeAnewIsAnother(t *testing.T) {
	m := NewMembers(nil, "system", testclock.NewFakePassiveClock(epoch))
	m.observe([]coordinationv1.Lease{leaseAt("a", "1", "1")}, epoch, epoch)
	again := leaseAt("a", "1", "0", func(l *coordinationv1.Lease) { l.UID = "again" })
	snapshot := m.observe([]coordinationv1.Lease{again}, epoch.Add(time.Minute), epoch.Add(time.Minute))
	if missing := snapshot.revocation("100").Missing; len(missing) != 1 {
		t.Error("a new Lease has inherited the silence of an old one")
	}
	if len(m.seen) != 1 {
		t.Errorf("%d observations are kept for 1 Lease", len(m.seen))
	}
}

// A list that takes long may show a renewal that was sent just before its answer.
func TestASilenceBeginsWhenAListIsAnsweredAndEndsWhenOneIsAsked(t *testing.T) {
	m := NewMembers(nil, "system", testclock.NewFakePassiveClock(epoch))
	leases := []coordinationv1.Lease{leaseAt("a", "1", "1")}
	answered := epoch.Add(3 * time.Second)
	m.observe(leases, epoch, answered)
	runsOut := answered.Add(11 * time.Second)
	snapshot := m.observe(leases, runsOut, runsOut.Add(time.Minute))
	if missing := snapshot.revocation("100").Missing; len(missing) != 1 {
		t.Error("counted out before its bound has passed since the renewal that was seen")
	}
	snapshot = m.observe(leases, runsOut.Add(1), runsOut.Add(time.Minute))
	if missing := snapshot.revocation("100").Missing; len(missing) != 0 {
		t.Error("not counted out although its bound has passed since the renewal that was seen")
	}
}

func TestANewKeyWaitsForItsTermsToo(t *testing.T) {
	m := NewMembers(nil, "system", testclock.NewFakePassiveClock(epoch))
	lease := leaseAt("a", "1", "100", func(l *coordinationv1.Lease) {
		l.Annotations[annotationAppliedOrganizations], l.Annotations[annotationAppliedNamespaces] = "49", "30"
	})
	snapshot := m.observe([]coordinationv1.Lease{lease}, epoch, epoch)
	for terms, want := range map[Terms]int{
		{Organization: "50", Namespace: "30"}: 1, {Organization: "49", Namespace: "31"}: 1, {Organization: "49", Namespace: "30"}: 0,
	} {
		if missing := snapshot.registration("100", terms).Missing; len(missing) != want {
			t.Errorf("%+v: a key waits for %d auth servers, want %d", terms, len(missing), want)
		}
	}
}

func TestANewKeyDoesNotWaitForWhoCannotWatch(t *testing.T) {
	m := NewMembers(nil, "system", testclock.NewFakePassiveClock(epoch))
	deaf := leaseAt("deaf", "1", "1", func(l *coordinationv1.Lease) { l.Annotations[annotationUndecided] = "APIKey: \u202egnp.exe" })
	snapshot := m.observe([]coordinationv1.Lease{deaf, leaseAt("well", "2", "100")}, epoch, epoch)
	if found := snapshot.registration("100", Terms{Organization: "50", Namespace: "30"}); found.Of != 1 || !found.Complete() {
		t.Errorf("registration waits for %v of %d", memberNames(found.Missing), found.Of)
	}
	found := snapshot.revocation("100")
	if got := memberNames(found.Missing); !slices.Equal(got, []string{"deaf"}) {
		t.Errorf("revocation waits for %v", got)
	}
	if got, want := Describe(found.Missing), `deaf (cannot watch: "APIKey: \u202egnp.exe")`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// leaseLists answers lists of Leases as an API server does, and notes what was asked.
type leaseLists struct {
	client.Reader
	leases []coordinationv1.Lease
	asked  []metav1.ListOptions
}

func (l *leaseLists) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	given := &client.ListOptions{}
	given.ApplyOptions(options)
	l.asked = append(l.asked, *given.AsListOptions())
	found := list.(*coordinationv1.LeaseList)
	found.ResourceVersion, found.Items = strconv.Itoa(1000+len(l.asked)), l.leases
	return nil
}

// consistent reports whether the last list was to show the present.
func (l *leaseLists) consistent(t *testing.T) bool {
	t.Helper()
	asked := l.asked[len(l.asked)-1]
	if asked.ResourceVersion != "" && asked.ResourceVersionMatch != metav1.ResourceVersionMatchNotOlderThan {
		t.Errorf("a list may be older than the minimum resourceVersion: %+v", asked)
	}
	if asked.LabelSelector == "" {
		t.Error("the list is of every Lease")
	}
	return asked.ResourceVersion == ""
}

func TestTheQuickLookIsEnoughOnlyWhenNobodyIsMissing(t *testing.T) {
	clock := testclock.NewFakePassiveClock(epoch)
	lists := &leaseLists{leases: []coordinationv1.Lease{leaseAt("a", "900", "100")}}
	m := NewMembers(lists, "system", clock)
	ask := func(wait Wait) Acknowledgement {
		t.Helper()
		wait.Since = clock.Now()
		found, err := m.Revocation(t.Context(), wait)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := ask(Wait{Revision: "100", MinResourceVersion: "900"}); !found.Complete() || len(lists.asked) != 1 || lists.consistent(t) {
		t.Errorf("%+v after %+v", found, lists.asked)
	}
	if found := ask(Wait{Revision: "99", MinResourceVersion: "1001"}); !found.Complete() || len(lists.asked) != 1 {
		t.Errorf("the answer to one look does not serve another: %+v after %+v", found, lists.asked)
	}
	if ask(Wait{Revision: "99", MinResourceVersion: "1002"}); len(lists.asked) != 2 {
		t.Error("an answer serves a look that it is too old for")
	}
	clock.SetTime(clock.Now().Add(Patience))
	if ask(Wait{Revision: "99", MinResourceVersion: "900"}); len(lists.asked) != 3 {
		t.Error("an answer serves for ever")
	}
	if found := ask(Wait{Revision: "101", MinResourceVersion: "900"}); found.Complete() || len(lists.asked) != 4 || !lists.consistent(t) {
		t.Errorf("somebody is missing, and the present was not asked for: %+v after %+v", found, lists.asked)
	}
	lists.leases = nil
	if ask(Wait{Revision: "101", MinResourceVersion: "2000"}); len(lists.asked) != 6 || !lists.consistent(t) {
		t.Errorf("nobody was there, and the present was not asked for: %+v", lists.asked)
	}
}

func TestASurveyServesThoseWhoseChangeStoodBefore(t *testing.T) {
	clock := testclock.NewFakePassiveClock(epoch)
	lists := &leaseLists{leases: []coordinationv1.Lease{leaseAt("a", "900", "100")}}
	m := NewMembers(lists, "system", clock)
	ask := func(since time.Time) int {
		t.Helper()
		if _, err := m.Revocation(t.Context(), Wait{Revision: "100", Since: since}); err != nil {
			t.Fatal(err)
		}
		return len(lists.asked)
	}
	before := epoch.Add(-1)
	ask(before)
	clock.SetTime(epoch.Add(maxSnapshotAge - 1))
	if ask(before) != 1 {
		t.Error("a snapshot is made although there is one that is recent")
	}
	if ask(epoch) != 2 {
		t.Error("a snapshot serves a change that may have been made after it")
	}
	clock.SetTime(clock.Now().Add(maxSnapshotAge))
	if ask(before) != 3 || !lists.consistent(t) {
		t.Error("a snapshot serves for ever")
	}
}
