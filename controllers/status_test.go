// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// passOver returns a pass over a key whose current version is in state; "" for
// no version.
func passOver(state v1alpha1.VersionState, change ...func(*pass)) *pass {
	key := testKey(func(k *v1alpha1.APIKey) {
		if state != "" {
			k.Status.Versions = []v1alpha1.KeyVersion{{ID: "0123456789ab", State: state}}
			k.Status.KeyID = "0123456789ab"
		}
	})
	p := &pass{key: key, observed: key.DeepCopy(), now: noon, permission: good(v1alpha1.ReasonPermitted, "permitted")}
	for _, f := range change {
		f(p)
	}
	return p
}

func TestConditions(t *testing.T) {
	for name, test := range map[string]struct {
		pass *pass
		// ready is the reason of Ready.
		ready                            string
		permitted, registered, published bool
		reconciling, stalled             bool
	}{
		"a key that works": {
			passOver(v1alpha1.VersionActive), v1alpha1.ReasonReady, true, true, true, false, false},
		"a hash that waits for auth servers": {
			passOver(v1alpha1.VersionPending), v1alpha1.ReasonWaitingForAuthServers, true, false, false, true, false},
		"a hash without auth servers": {
			passOver(v1alpha1.VersionPending, func(p *pass) { p.registration = waiting(v1alpha1.ReasonNoAuthServer, "deploy") }),
			v1alpha1.ReasonNoAuthServer, true, false, false, true, false},
		"not permitted, never minted": {
			passOver("", func(p *pass) { p.permission = stuck(v1alpha1.ReasonNamespaceNotPermitted, "ask") }),
			v1alpha1.ReasonNamespaceNotPermitted, false, false, false, false, true},
		"no longer permitted": {
			passOver(v1alpha1.VersionActive, func(p *pass) { p.permission = stuck(v1alpha1.ReasonNamespaceNotPermitted, "ask") }),
			v1alpha1.ReasonNamespaceNotPermitted, false, true, true, false, true},
		"suspended": {
			passOver(v1alpha1.VersionActive, func(p *pass) { p.dormancy = stuck(v1alpha1.ReasonSuspended, "resume") }),
			v1alpha1.ReasonSuspended, true, true, true, false, true},
		"a Secret in the way": {
			passOver("", func(p *pass) { p.publication = stuck(v1alpha1.ReasonSecretConflict, "rename") }),
			v1alpha1.ReasonSecretConflict, true, false, false, false, true},
		"registered, and the Secret is refused": {
			passOver(v1alpha1.VersionPending, func(p *pass) {
				p.registration = good(v1alpha1.ReasonRegistered, "known")
				p.publication = stuck(v1alpha1.ReasonSecretRefused, "quota")
			}),
			v1alpha1.ReasonSecretRefused, true, true, false, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			judge(test.pass)
			conditions := test.pass.key.Status.Conditions
			for conditionType, want := range map[string]bool{
				v1alpha1.ConditionReady:     test.ready == v1alpha1.ReasonReady,
				v1alpha1.ConditionPermitted: test.permitted, v1alpha1.ConditionRegistered: test.registered, v1alpha1.ConditionPublished: test.published,
				v1alpha1.ConditionReconciling: test.reconciling, v1alpha1.ConditionStalled: test.stalled,
			} {
				if got := meta.IsStatusConditionTrue(conditions, conditionType); got != want {
					t.Errorf("%s is %t", conditionType, got)
				}
			}
			for _, absent := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
				if meta.IsStatusConditionFalse(conditions, absent) {
					t.Errorf("%s is there although it does not hold", absent)
				}
			}
			ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
			if ready.Reason != test.ready || ready.Message == "" || ready.ObservedGeneration != 3 {
				t.Errorf("Ready is %+v, want reason %s", ready, test.ready)
			}
		})
	}
}

func TestJudgingTwiceChangesNothing(t *testing.T) {
	p := passOver(v1alpha1.VersionActive)
	judge(p)
	first := p.key.DeepCopy()
	p.now = noon.Add(time.Hour)
	judge(p)
	if !equality.Semantic.DeepEqual(first.Status, p.key.Status) {
		t.Errorf("a second look changed the status:\n%+v\n%+v", first.Status, p.key.Status)
	}
}

func TestADeletionThatIsQuickLeavesTheStatusAlone(t *testing.T) {
	p := passOver(v1alpha1.VersionActive)
	p.key.DeletionTimestamp = ptr.To(metav1.NewTime(noon))
	before := p.key.DeepCopy()
	judge(p)
	if !equality.Semantic.DeepEqual(before.Status, p.key.Status) {
		t.Error("the status has changed")
	}
	p.revocation = waiting(v1alpha1.ReasonRevoking, "waiting for a")
	judge(p)
	registered := meta.FindStatusCondition(p.key.Status.Conditions, v1alpha1.ConditionRegistered)
	if registered == nil || registered.Reason != v1alpha1.ReasonRevoking || registered.Message != "waiting for a" {
		t.Errorf("does not say who is waited for: %+v", registered)
	}
}
