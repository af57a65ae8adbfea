// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// mortal is a key that was made at noon, lives for so long, and is as old as age.
func mortal(life, age time.Duration) *Facts {
	f := given("a:Active", always(func(s *v1alpha1.APIKeySpec) { s.TTL = &metav1.Duration{Duration: life} }))
	f.Key.CreationTimestamp = metav1.NewTime(noon)
	return f.with(later(age))
}

func TestWarningsBeforeExpiry(t *testing.T) {
	for name, test := range map[string]struct {
		life, age time.Duration
		// reason of the warning; next is the age at the next look, 0 for none.
		reason string
		next   time.Duration
	}{
		"long before":                  {30 * day, 0, "", 23 * day},
		"a moment before the first":    {30 * day, 23*day - 1, "", 23 * day},
		"7 days before":                {30 * day, 23 * day, v1alpha1.ReasonWithin7Days, 29 * day},
		"a moment before the second":   {30 * day, 29*day - 1, v1alpha1.ReasonWithin7Days, 29 * day},
		"a day before":                 {30 * day, 29 * day, v1alpha1.ReasonWithin1Day, 30*day - time.Hour},
		"an hour before":               {30 * day, 30*day - time.Hour, v1alpha1.ReasonWithin1Hour, 30 * day},
		"a moment before":              {30 * day, 30*day - 1, v1alpha1.ReasonWithin1Hour, 30 * day},
		"at the end":                   {30 * day, 30 * day, "", 0},
		"long after":                   {30 * day, 60 * day, "", 0},
		"made for 3 days, new":         {3 * day, 0, "", 2 * day},
		"made for 3 days, a day left":  {3 * day, 2 * day, v1alpha1.ReasonWithin1Day, 3*day - time.Hour},
		"made for 7 days, new":         {7 * day, 0, "", 6 * day},
		"made for an hour":             {time.Hour, 0, "", time.Hour},
		"made for an hour, half of it": {time.Hour, time.Hour / 2, "", time.Hour},
		"made for 2 hours, one left":   {2 * time.Hour, time.Hour, v1alpha1.ReasonWithin1Hour, 2 * time.Hour},
	} {
		for field, f := range map[string]*Facts{
			"spec.ttl": mortal(test.life, test.age),
			"spec.expirationTime": mortal(0, test.age).with(always(func(s *v1alpha1.APIKeySpec) {
				s.TTL, s.ExpirationTime = nil, ptr.To(metav1.NewTime(noon.Add(test.life)))
			})),
		} {
			t.Run(name+", "+field, func(t *testing.T) {
				// With the answer of all auth servers: what else is waited for is not of interest.
				plan := Decide(f.with(withdrawn(complete), stored(func(s *status) {
					if test.next == 0 {
						s.Acceptance = v1alpha1.AcceptanceExpired
					}
				})))
				is := condition(&plan.Status, v1alpha1.ConditionExpiringSoon)
				if is.Reason != test.reason {
					t.Errorf("reason %q, want %q", is.Reason, test.reason)
				}
				for _, part := range []string{noon.Add(test.life).Format(time.RFC3339), field} {
					if is.Reason != "" && !strings.Contains(is.Message, part) {
						t.Errorf("%q does not say %q", is.Message, part)
					}
				}
				serving, want := condition(&plan.Status, v1alpha1.ConditionServing).Reason, v1alpha1.ReasonActive
				if test.reason != "" {
					want = v1alpha1.ReasonExpiring
				}
				if test.next != 0 && serving != want {
					t.Errorf("Serving is %s, want %s", serving, want)
				}
				if want := max(0, test.next-test.age); plan.Again != want {
					t.Errorf("looks again after %v, want %v", plan.Again, want)
				}
				if got := plan.Status.ExpirationTime; got == nil || !got.Time.Equal(noon.Add(test.life)) {
					t.Errorf("status.expirationTime is %v", got)
				}
			})
		}
	}
}

func TestExpiryInTheStatusIsStoredAsItIsCompared(t *testing.T) {
	f := mortal(time.Minute+300*time.Millisecond, 0)
	if got, want := Decide(f).Status.ExpirationTime.Time, noon.Add(time.Minute); !got.Equal(want) {
		t.Errorf("status.expirationTime is %v, want %v", got, want)
	}
	f.Key.Status = Decide(f).Status
	f.Key.Spec.TTL = nil
	if plan := Decide(f); plan.Status.ExpirationTime != nil || plan.Step != StepStatus {
		t.Error("status.expirationTime stays when the key does not expire any more")
	}
	f.Key.Spec.TTL, f.Key.Refusal = &metav1.Duration{Duration: time.Minute}, "It is too large."
	if plan := Decide(f); plan.Status.ExpirationTime != nil {
		t.Error("a spec that counts for nothing has the key expire")
	}
}

// What was told is in the status, so that a manager that starts tells nothing again.
func TestAWarningIsGivenOnceForEachExpiry(t *testing.T) {
	f := mortal(30*day, 0)
	var told []string
	look := func(age time.Duration) {
		f.Now = noon.Add(age)
		plan := Decide(f)
		for _, tr := range Transitions(f, &plan.Status) {
			if tr.What == Warned {
				told = append(told, tr.Reason)
			}
		}
		f.Key.Status = plan.Status
	}
	expect := func(what string, want ...string) {
		t.Helper()
		if strings.Join(told, " ") != strings.Join(want, " ") {
			t.Errorf("%s: told %q, want %q", what, told, want)
		}
		told = nil
	}
	look(0)
	expect("when it is new")
	for _, age := range []time.Duration{23 * day, 23*day + 1, 24 * day, 29 * day, 29*day + time.Hour, 30*day - time.Hour, 30*day - 1, 30 * day} {
		look(age)
	}
	expect("up to its end", "Within7Days", "Within1Day", "Within1Hour")
	f.Key.Spec.TTL.Duration = 60 * day
	look(30 * day)
	expect("with a later end")
	look(53 * day)
	look(53*day + 1)
	expect("before that", "Within7Days")
	// The end is moved within the same 7 days.
	f.Key.Spec.TTL.Duration = 59 * day
	look(53 * day)
	look(53 * day)
	expect("with an earlier end", "Within7Days")
}
