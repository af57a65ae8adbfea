// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"
)

// leaseAt is a replica's Lease at a resourceVersion of its own.
func leaseAt(name, resourceVersion, applied string, change ...func(*coordinationv1.Lease)) coordinationv1.Lease {
	writer := leaseWriter{namespace: "system", name: name, holder: "x", maxStaleness: 10 * time.Second, suspectAfter: 4 * time.Second}
	lease := writer.renew(writer.join(nil, epoch), report{apiKeys: applied, organizations: applied}, epoch)
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
		"for ever, when a Lease does not say its bound": {
			[]coordinationv1.Lease{leaseAt("a", "1", "1", func(l *coordinationv1.Lease) { l.Spec.LeaseDurationSeconds = nil })},
			1000 * time.Hour, []string{}, []string{"a"}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMembers(nil, "system", testclock.NewFakePassiveClock(epoch))
			m.observe(test.leases, epoch, epoch)
			survey := m.observe(test.leases, epoch.Add(test.silent), epoch.Add(test.silent))
			waiting, live := survey.Registration("100", "50")
			if name == "for ever, when a Lease does not say its bound" {
				waiting, live = nil, 0 // Its shorter bound is there, and holds.
			}
			if got := memberNames(waiting); !slices.Equal(got, test.registration) || live != test.live {
				t.Errorf("registration waits for %v of %d, want %v of %d", got, live, test.registration, test.live)
			}
			waiting, serving := survey.Revocation("100")
			if got := memberNames(waiting); !slices.Equal(got, test.revoking) || serving != test.serving {
				t.Errorf("revocation waits for %v of %d, want %v of %d", got, serving, test.revoking, test.serving)
			}
		})
	}
}

func TestSilenceIsCountedByThisProcessAlone(t *testing.T) {
	m := NewMembers(nil, "system", testclock.NewFakePassiveClock(epoch))
	// The replica's own clock is a year behind: its renewTime says nothing.
	old := func(l *coordinationv1.Lease) { l.Spec.RenewTime.Time = epoch.AddDate(-1, 0, 0) }
	survey := m.observe([]coordinationv1.Lease{leaseAt("a", "1", "1", old)}, epoch, epoch)
	if waiting, _ := survey.Revocation("100"); len(waiting) != 1 {
		t.Error("a Lease that was seen for the first time counts as run out")
	}
	// Each renewal begins the silence anew.
	for i := range 5 {
		at := epoch.Add(time.Duration(i) * 9 * time.Second)
		survey = m.observe([]coordinationv1.Lease{leaseAt("a", string(rune('2'+i)), "1", old)}, at, at)
		if waiting, _ := survey.Revocation("100"); len(waiting) != 1 {
			t.Errorf("a Lease that is renewed counts as run out after %s", at.Sub(epoch))
		}
	}
}

func TestALeaseOfTheSameNameMadeAnewIsAnother(t *testing.T) {
	m := NewMembers(nil, "system", testclock.NewFakePassiveClock(epoch))
	m.observe([]coordinationv1.Lease{leaseAt("a", "1", "1")}, epoch, epoch)
	again := leaseAt("a", "1", "0", func(l *coordinationv1.Lease) { l.UID = "again" })
	survey := m.observe([]coordinationv1.Lease{again}, epoch.Add(time.Minute), epoch.Add(time.Minute))
	if waiting, _ := survey.Revocation("100"); len(waiting) != 1 {
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
	survey := m.observe(leases, runsOut, runsOut.Add(time.Minute))
	if waiting, _ := survey.Revocation("100"); len(waiting) != 1 {
		t.Error("counted out before its bound has passed since the renewal that was seen")
	}
	survey = m.observe(leases, runsOut.Add(1), runsOut.Add(time.Minute))
	if waiting, _ := survey.Revocation("100"); len(waiting) != 0 {
		t.Error("not counted out although its bound has passed since the renewal that was seen")
	}
}

func TestANewKeyWaitsForItsOrganizationToo(t *testing.T) {
	m := NewMembers(nil, "system", testclock.NewFakePassiveClock(epoch))
	lease := leaseAt("a", "1", "100", func(l *coordinationv1.Lease) { l.Annotations[annotationAppliedOrganizations] = "49" })
	survey := m.observe([]coordinationv1.Lease{lease}, epoch, epoch)
	if waiting, _ := survey.Registration("100", "50"); len(waiting) != 1 {
		t.Error("a key is published although a replica does not know its organization")
	}
	if waiting, _ := survey.Registration("100", "49"); len(waiting) != 0 {
		t.Error("a key waits for a replica that knows all")
	}
}
