// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func every(interval time.Duration) func(*v1alpha1.APIKeySpec) {
	return rotating(func(r *v1alpha1.Rotation) { r.Interval = &metav1.Duration{Duration: interval} })
}

func after(t time.Time) func(*v1alpha1.APIKeySpec) {
	return rotating(func(r *v1alpha1.Rotation) { r.RotateAfter = ptr.To(metav1.NewTime(t)) })
}

// planned has the status say when the key is replaced.
func planned(at time.Time) option {
	return stored(func(s *status) { s.NextRotationTime = ptr.To(metav1.NewTime(at)) })
}

func TestRotate(t *testing.T) {
	badWindow := rotating(func(r *v1alpha1.Rotation) {
		r.Window = &v1alpha1.RotationWindow{Schedule: "x", Duration: metav1.Duration{Duration: time.Hour}}
	})
	closed := rotating(func(r *v1alpha1.Rotation) {
		r.Window = &v1alpha1.RotationWindow{Schedule: "0 3 * * *", Duration: metav1.Duration{Duration: time.Hour}}
	})
	decide(t, map[string]row{
		"a key without a schedule is not replaced": {facts: given("a:Active"), want: "nothing"},
		"one that is due is":                       {facts: given("a:Active", always(every(time.Hour)), planned(noon)), want: "ask Digest"},
		"by a successor, while it works":           {facts: given("a:Active", always(every(time.Hour)), planned(noon), fresh("n")), want: "Status a:Active n:Pending", ready: "Ready", serving: "Active"},
		"one that is not due is not, and when it will be is said": {
			facts: given("a:Active", always(every(1000*time.Hour))), want: "Status a:Active"},
		"a window that is closed is waited for":  {facts: given("a:Active", always(every(time.Hour)), always(closed), planned(noon)), want: "Status a:Active"},
		"rotateAfter does not wait for a window": {facts: given("a:Active", always(after(noon)), always(closed)), want: "ask Digest"},
		"nor does maxKeyAge":                     {facts: given("a:Active", always(closed), aging(2*time.Hour)), want: "ask Digest"},
		"a time that lies ahead is waited for": {
			facts: given("a:Active", always(after(noon.Add(time.Minute)))), want: "Status a:Active", ready: "Ready", serving: "Active", again: time.Minute},
		"a key that was registered since then stays": {facts: given("a:Active", always(after(noon.Add(-2*time.Hour-time.Second)))), want: "Status a:Active"},
		"while a key is pinned its interval waits":   {facts: given("a:Active", always(every(time.Hour)), planned(noon), always(pinned("a"))), want: "Status a:Active"},
		"and rotateAfter":    {facts: given("a:Active", always(after(noon)), always(pinned("a"))), want: "Status a:Active", ready: "Ready", serving: "Active"},
		"maxKeyAge does not": {facts: given("a:Active", always(pinned("a")), aging(2*time.Hour), live), want: "ask Digest"},
		"nothing is planned any more when it is taken out": {facts: given("a:Active", planned(noon.Add(day))), want: "Status a:Active"},
		"a window that cannot be read is always open, and said": {
			facts: given("a:Active", always(badWindow)), want: "Status a:Active", ready: "InvalidWindow", serving: "Active", stuck: "Stalled InvalidWindow"},
		"and keys are replaced": {facts: given("a:Active", always(badWindow), always(every(time.Hour)), planned(noon)), want: "ask Digest"},
		"with too many keys none is, and that is said": {
			facts: given(retiring(maxRotated-1)+" a:Active", always(after(noon)), fresh("z")), want: "Status " + retiring(maxRotated-1) + " a:Active", ready: "Ready", serving: "Active"},
		"with one less one is": {
			facts: given(retiring(maxRotated-2)+" a:Active", always(after(noon)), fresh("z")), want: "Status " + retiring(maxRotated-2) + " a:Active z:Pending"},
	})
	f := given(retiring(maxRotated-1)+" a:Active", always(after(noon)))
	plan := Decide(f)
	if got := condition(&plan.Status, v1alpha1.ConditionRotated).Reason; got != v1alpha1.ReasonTooManyKeys {
		t.Errorf("Rotated is %s with too many keys", got)
	}
	for name, f := range map[string]*Facts{"an hour": given("a:Active", always(every(time.Hour)), planned(noon.Add(90*time.Second)))} {
		plan := Decide(f)
		if next := plan.Status.NextRotationTime; next == nil || next.Nanosecond() != 0 || plan.Again <= 0 || plan.Again > 15*time.Minute {
			t.Errorf("%s: planned for %v, looks again after %s", name, next, plan.Again)
		}
	}
}

// What is planned is said once, or each look would be a write.
func TestAPlanStays(t *testing.T) {
	f := given("a:Active", always(every(time.Hour)))
	plan := Decide(f)
	f.Key.Status = plan.Status
	due := f.Key.Status.NextRotationTime.Time
	for f.Now.Before(due) {
		plan := Decide(f)
		if plan.Step != StepNone || !plan.Status.NextRotationTime.Time.Equal(due) {
			t.Fatalf("at %s: %s, planned for %s", f.Now, described(f, &plan), plan.Status.NextRotationTime)
		}
		f.Now = f.Now.Add(plan.Again)
	}
	if plan := Decide(f); described(f, &plan) != "ask Digest" {
		t.Errorf("when it is due: %s", described(f, &plan))
	}
}
