// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
)

func TestRevocationsComeBeforeAllThatWaits(t *testing.T) {
	for name, ends := range map[string]func(*v1alpha1.APIKey){
		"a deletion":   func(k *v1alpha1.APIKey) { k.DeletionTimestamp = &metav1.Time{Time: noon} },
		"a suspension": func(k *v1alpha1.APIKey) { k.Spec.Suspend = true },
	} {
		t.Run(name, func(t *testing.T) {
			q := priorityqueue.New[reconcile.Request]("test")
			defer q.ShutDown()
			all := &handler.EnqueueRequestForObject{}
			first := (&Reconciler{revocations: NewCourtesy(testclock.NewFakePassiveClock(noon))}).keyEvents()
			see := func(key *v1alpha1.APIKey) {
				key.ResourceVersion = "2"
				e := event.UpdateEvent{ObjectOld: testKey(), ObjectNew: key}
				all.Update(t.Context(), e, q)
				first.Update(t.Context(), e, q)
			}
			const waiting = 1000
			for i := range waiting {
				see(testKey(func(k *v1alpha1.APIKey) { k.Name = fmt.Sprint("new-", i) }))
			}
			see(testKey(ends, func(k *v1alpha1.APIKey) { k.Name = "ends" }))
			request, priority, _ := q.GetWithPriority()
			if request.Name != "ends" || priority != revocationPriority {
				t.Errorf("first comes %s, with priority %d", request.Name, priority)
			}
			q.Done(request)
			// A requeue keeps its priority; that of another does not change.
			if request, priority, _ = q.GetWithPriority(); request.Name == "ends" || priority != 0 {
				t.Errorf("then comes %s, with priority %d", request.Name, priority)
			}
		})
	}
}

func TestOneNamespaceDoesNotHaveAllRevocationsWaitForIt(t *testing.T) {
	clock := testclock.NewFakePassiveClock(noon)
	q := priorityqueue.New[reconcile.Request]("test")
	defer q.ShutDown()
	first := (&Reconciler{revocations: NewCourtesy(clock)}).keyEvents()
	end := func(namespace, name string) {
		first.Update(t.Context(), event.UpdateEvent{ObjectNew: testKey(func(k *v1alpha1.APIKey) {
			k.Namespace, k.Name, k.DeletionTimestamp = namespace, name, &metav1.Time{Time: noon}
		})}, q)
	}
	const many = 1000
	for i := range many {
		end("busy", fmt.Sprint(i))
	}
	end("other", "late")
	for place := range shareBurst + 2 {
		request, priority, _ := q.GetWithPriority()
		q.Done(request)
		if request.Name == "late" {
			if priority != revocationPriority {
				t.Errorf("it has priority %d", priority)
			}
			break
		}
		if place > shareBurst {
			t.Errorf("%d of another namespace come before it", place)
		}
	}
	clock.SetTime(noon.Add(time.Second))
	end("busy", "later")
	if request, priority, _ := q.GetWithPriority(); request.Name != "later" || priority != revocationPriority {
		t.Errorf("a second later comes %s, with priority %d", request.Name, priority)
	}
}

// works gives an APIKey a key.
func works(k *v1alpha1.APIKey) {
	k.Status.Acceptance = v1alpha1.AcceptanceAccepted
	k.Status.KeyID, k.Status.Versions = "aaaaaaaaaaaa", []v1alpha1.KeyVersion{{ID: "aaaaaaaaaaaa", State: v1alpha1.VersionActive}}
}

func TestBulkWorkOfANamespaceComesAfterThatOfOthers(t *testing.T) {
	clock := testclock.NewFakePassiveClock(noon)
	q := priorityqueue.New[reconcile.Request]("test")
	defer q.ShutDown()
	ours := NewCourtesy(clock)
	keys := map[reconcile.Request]*v1alpha1.APIKey{}
	due := func(namespace, name string, change func(*v1alpha1.APIKey)) {
		key := testKey(works, change, func(k *v1alpha1.APIKey) { k.Namespace, k.Name = namespace, name })
		request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(key)}
		keys[request] = key
		q.Add(request)
	}
	const many = 400
	for i := range many {
		due("busy", fmt.Sprint("key-", i), func(k *v1alpha1.APIKey) { k.Spec.ExpirationTime = ptr.To(metav1.NewTime(noon)) })
	}
	due("other", "new", func(k *v1alpha1.APIKey) { k.Status.Versions = nil })
	worked := 0
	for q.Len() > 0 {
		request, _, _ := q.GetWithPriority()
		if canWait(keys[request], clock.Now()) && ours.GivesWay(request.NamespacedName) {
			enqueueAt(q, handler.LowPriority, request.NamespacedName)
		} else if worked++; request.Namespace == "other" && worked > shareBurst+1 {
			t.Errorf("it comes as number %d", worked)
		}
		q.Done(request)
	}
	if worked != many+1 {
		t.Errorf("%d of %d came to their turn", worked, many+1)
	}
	clock.SetTime(noon.Add(time.Second))
	for i := range sharePerSecond {
		if ours.GivesWay(client.ObjectKey{Namespace: "busy", Name: fmt.Sprint("later-", i)}) {
			t.Error("a namespace has no share of its own a second later")
		}
	}
}

func TestWhatCanWait(t *testing.T) {
	past, future := ptr.To(metav1.NewTime(noon)), ptr.To(metav1.NewTime(noon.Add(time.Second)))
	for name, test := range map[string]struct {
		change func(*v1alpha1.APIKey)
		want   bool
	}{
		"a key that works":             {func(*v1alpha1.APIKey) {}, false},
		"a key that is to be made":     {func(k *v1alpha1.APIKey) { k.Status.Versions = nil }, true},
		"a key that is deleted":        {func(k *v1alpha1.APIKey) { k.Status.Versions, k.DeletionTimestamp = nil, past }, false},
		"a key that is suspended":      {func(k *v1alpha1.APIKey) { k.Spec.ExpirationTime, k.Spec.Suspend = past, true }, false},
		"a key that has expired":       {func(k *v1alpha1.APIKey) { k.Spec.ExpirationTime = past }, true},
		"a key that expires later":     {func(k *v1alpha1.APIKey) { k.Spec.ExpirationTime = future }, false},
		"a rotation that is asked for": {func(k *v1alpha1.APIKey) { k.Spec.Rotation.RotateAfter = past }, true},
		"a rotation that is due":       {func(k *v1alpha1.APIKey) { k.Status.NextRotationTime = past }, true},
		"a rotation later":             {func(k *v1alpha1.APIKey) { k.Status.NextRotationTime = future }, false},
	} {
		if got := canWait(testKey(works, test.change), noon); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestALaterLookHasThePriorityOfAllElse(t *testing.T) {
	for name, test := range map[string]struct {
		key  *v1alpha1.APIKey
		plan lifecycle.Plan
		want *int
	}{
		"of a key that works":              {testKey(), lifecycle.Plan{Again: time.Hour}, ptr.To(0)},
		"that waits for auth servers":      {testKey(), lifecycle.Plan{Again: time.Second, Waits: []lifecycle.Purpose{{}}}, nil},
		"of a key that is being deleted":   {testKey(func(k *v1alpha1.APIKey) { k.DeletionTimestamp = &metav1.Time{Time: noon} }), lifecycle.Plan{}, nil},
		"of a key that is being suspended": {testKey(func(k *v1alpha1.APIKey) { k.Spec.Suspend = true }), lifecycle.Plan{}, nil},
	} {
		if got := resultOf(test.key, &test.plan); !ptr.Equal(got.Priority, test.want) || got.RequeueAfter != test.plan.Again {
			t.Errorf("a later look %s: %+v", name, got)
		}
	}
}
