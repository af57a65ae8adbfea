// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func TestRevocationsComeBeforeAllThatWaits(t *testing.T) {
	for name, ends := range map[string]func(*v1alpha1.APIKey){
		"a deletion":   func(k *v1alpha1.APIKey) { k.DeletionTimestamp = &metav1.Time{Time: noon} },
		"a suspension": func(k *v1alpha1.APIKey) { k.Spec.Suspend = true },
	} {
		t.Run(name, func(t *testing.T) {
			q := priorityqueue.New[reconcile.Request]("test")
			defer q.ShutDown()
			all, first := &handler.EnqueueRequestForObject{}, revocationsFirst(newShares(testclock.NewFakePassiveClock(noon)))
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
	first := revocationsFirst(newShares(clock))
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
