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

// used says when a key was last used.
func used(name string, ago time.Duration) option {
	return func(f *Facts) { f.Uses[idOf(name)] = Use{LastUsed: noon.Add(-ago), Requests: 7, From: "7 by nginx"} }
}

// heard has the use of all keys be known up to some time ago.
func heard(ago time.Duration) option { return func(f *Facts) { f.Coverage.Until = noon.Add(-ago) } }

// idle has keys be taken to be out of use soon.
func idle(within time.Duration) func(*v1alpha1.APIKeySpec) {
	return rotating(func(r *v1alpha1.Rotation) { r.Overlap.Idle = &metav1.Duration{Duration: within} })
}

// a was replaced an hour ago.
func TestRetire(t *testing.T) {
	soon := always(idle(30 * time.Minute))
	for name, test := range map[string]struct {
		facts *Facts
		// versions are what becomes of them; says is a part of Rotated's message.
		versions, says string
		again          time.Duration
	}{
		"used lately: kept": {given("a:Retiring b:Active", soon, heard(0), used("a", time.Minute), used("b", 0)), "a:Retiring b:Active", "it has been used within spec.rotation.overlap.idle", time.Minute},
		"idle, and its successor is used: revoked": {
			given("a:Retiring b:Active", soon, heard(0), used("a", 31*time.Minute), used("b", 0)), "a:Revoked(Unused) b:Active", "", 0},
		"its successor was not used yet: kept":        {given("a:Retiring b:Active", soon, heard(0)), "a:Retiring b:Active", "its successor has not been used yet", time.Minute},
		"a use before it was replaced proves nothing": {given("a:Retiring b:Active", soon, heard(0), used("b", 61*time.Minute)), "a:Retiring b:Active", "its successor has not been used yet", 0},
		"an auth server was never heard: kept":        {given("a:Retiring b:Active", soon, used("b", 0)), "a:Retiring b:Active", "an auth server has not reported", 0},
		"one was not heard lately: kept":              {given("a:Retiring b:Active", soon, heard(45*time.Minute), used("b", 0)), "a:Retiring b:Active", "an auth server has not reported", 0},
		"use may have been missed: kept":              {given("a:Retiring b:Active", soon, heard(0), used("b", 0), func(f *Facts) { f.Coverage.LastGap = noon.Add(-time.Minute) }), "a:Retiring b:Active", "it has been used within", 0},
		"within min: kept":                            {given("a:Retiring b:Active", soon, heard(0), used("b", 0), stored(func(s *status) { s.Versions[0].ReplacementTime = ptr.To(at(14 * time.Minute)) })), "a:Retiring b:Active", "overlap.min has not passed", time.Minute},
		"a rollout is unfinished: kept":               {given("a:Retiring b:Active", soon, heard(0), used("b", 0), func(f *Facts) { f.Rollout = Rollout{true, "Deployment web is waited for."} }), "a:Retiring b:Active", "its consumers are being restarted. Deployment web is waited for.", 0},
		"an imported key has no consumers to wait for": {
			given("b:Active +x:Retiring", soon, heard(0), used("b", 0), func(f *Facts) { f.Rollout = Rollout{true, "Deployment web is waited for."} }), "b:Active +x:Revoked(Unused)", "", 0},
		"what the status has of its use counts": {
			given("a:Retiring b:Active", soon, heard(0), used("b", 0), stored(func(s *status) { s.Versions[0].LastUsedTime = ptr.To(at(time.Minute)) })), "a:Retiring b:Active", "it has been used within", 0},
		"so does what it has of its successor's": {
			given("a:Retiring b:Active", soon, heard(0), stored(func(s *status) { s.Versions[1].LastUsedTime = ptr.To(at(time.Minute)) })), "a:Revoked(Unused) b:Active", "", 0},
		"a later one that retires, too, is a successor": {
			given("a:Retiring b:Retiring c:Active", soon, heard(0), used("b", time.Minute)), "a:Revoked(Unused) b:Retiring c:Active", "its successor has not been used yet", 0},
		"one that retired before it is none": {
			given("a:Retiring b:Retiring c:Active", soon, heard(0), used("a", time.Minute)), "a:Retiring b:Retiring c:Active", "its successor has not been used yet", 0},
		"an imported one is none": {given("a:Retiring b:Active +x:Active", soon, heard(0), used("x", 0)), "a:Retiring b:Active +x:Active", "its successor has not been used yet", 0},
		"overlap.max is over, and it was used": {
			given("a:Retiring b:Active", always(overlapping(time.Hour)), heard(0), used("a", time.Minute)), "a:Revoked(MaxReachedInUse) b:Active", "", 0},
		"overlap.max is over, and it was not": {
			given("a:Retiring b:Active", soon, always(overlapping(time.Hour)), heard(0)), "a:Revoked(MaxReached) b:Active", "", 0},
		"each retires by itself": {
			given("a:Retiring b:Retiring c:Active", soon, heard(0), used("c", 0), used("b", time.Minute)), "a:Revoked(Unused) b:Retiring c:Active", "Key " + idOf("b"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Decide(test.facts)
			if got := states(plan.Status.Versions); got != test.versions {
				t.Errorf("got  %s\nwant %s", got, test.versions)
			}
			rotated := condition(&plan.Status, v1alpha1.ConditionRotated)
			if test.says != "" && (rotated.Reason != v1alpha1.ReasonRetiring || !strings.Contains(rotated.Message, test.says)) {
				t.Errorf("Rotated is %+v", rotated)
			}
			if test.says == "" && rotated.Reason != v1alpha1.ReasonUpToDate {
				t.Errorf("Rotated is %+v", rotated)
			}
			if test.again != 0 && plan.Again != test.again || test.says != "" && (plan.Again < time.Second || plan.Again > time.Minute) {
				t.Errorf("looks again after %s", plan.Again)
			}
			if ready := condition(&plan.Status, v1alpha1.ConditionReady); ready.Reason != v1alpha1.ReasonReady {
				t.Errorf("it has a part in Ready: %+v", ready)
			}
		})
	}
}

func TestPrune(t *testing.T) {
	decide(t, map[string]row{
		"auth servers are asked to drop what the status has": {facts: given("a:Revoked(Unused) b:Active"), want: "ask revoke a"},
		"all that are revoked at once":                       {facts: given("a:Revoked(Unused) b:Active +x:Revoked(Unlisted)"), want: "ask revoke a x"},
		"its entry goes when all have":                       {facts: given("a:Revoked(Unused) b:Active", dropped("a", complete)), want: "Status b:Active", ready: "Ready", serving: "Active"},
		"and not before":                                     {facts: given("a:Revoked(Unused) b:Active", dropped("a", quick)), want: "Status a:Revoked(Unused) b:Active", ready: "Ready", serving: "Active"},
		"an answer for one is none for two":                  {facts: given("a:Revoked(Unused) b:Active +x:Revoked(Unlisted)", dropped("a", complete)), want: "ask revoke a x"},
		"a key that ends now is asked about after the write": {facts: given("a:Active +x:Active", always(listing(""))), want: "Status a:Active +x:Revoked(Unlisted)"},
		"nothing else waits for it": {
			facts: given("a:Revoked(Unused) b:Active", dropped("a", quick), always(after(noon)), fresh("n")), want: "Status a:Revoked(Unused) b:Active n:Pending"},
		"it is dropped of a suspended APIKey, too": {
			facts: given("a:Revoked(Unused) b:Active", always(suspend), dropped("a", complete)), want: "Status b:Active Withdrawn unapplied"},
		"who may still accept it is named in Rotated, which has no part in Ready": {
			facts: given("a:Revoked(Unused) b:Active", dropped("a", slow)), want: "Status a:Revoked(Unused) b:Active", ready: "Ready", serving: "Active"},
	})
	plan := Decide(given("a:Revoked(Unused) b:Active", dropped("a", slow)))
	if rotated := condition(&plan.Status, v1alpha1.ConditionRotated); rotated.Reason != v1alpha1.ReasonRevoking || rotated.Message != "Waiting for 1 of 3 auth servers to drop key "+idOf("a")+": east." {
		t.Errorf("Rotated is %+v", rotated)
	}
}
