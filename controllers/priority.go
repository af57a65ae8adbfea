// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// revocationPriority is that of APIKeys whose keys are to be refused. They are reconciled
// before all others that wait, be those a tenant's who creates faster than keys are
// minted, or the whole list after a start: controller-runtime gives the latter
// handler.LowPriority, and everything else 0. A requeue keeps it.
const revocationPriority = 100

// revocationsFirst enqueues APIKeys whose keys are to be refused. It comes beside what
// enqueues every APIKey: of two priorities the queue takes the higher.
func revocationsFirst() handler.Funcs {
	enqueue := func(obj client.Object, q queue) {
		key, ok := obj.(*v1alpha1.APIKey)
		if !ok || key.DeletionTimestamp.IsZero() && !key.Spec.Suspend {
			return
		}
		enqueueAt(q, revocationPriority, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(key)})
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { enqueue(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { enqueue(e.ObjectNew, q) },
	}
}

// enqueueAt adds a request with a priority.
func enqueueAt(q queue, priority int, request reconcile.Request) {
	if prioritized, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: ptr.To(priority)}, request)
		return
	}
	q.Add(request)
}

// enqueueKeys enqueues the APIKeys that a changed object concerns. Those that have keys
// come first, for the change may revoke them. Anybody may name an Organization: those that
// it has refused come last.
func (r *APIKeyReconciler) enqueueKeys(concerned func(client.Object) client.ListOption) handler.Funcs {
	enqueue := func(ctx context.Context, obj client.Object, initial bool, q queue) {
		keys := r.matching(ctx, concerned(obj))
		for i := range keys {
			priority := 0
			switch {
			case initial, meta.IsStatusConditionFalse(keys[i].Status.Conditions, v1alpha1.ConditionPermitted) && len(keys[i].Status.Versions) == 0:
				priority = handler.LowPriority
			case len(keys[i].Status.Versions) > 0:
				priority = revocationPriority
			}
			enqueueAt(q, priority, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&keys[i])})
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { enqueue(ctx, e.Object, e.IsInInitialList, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { enqueue(ctx, e.ObjectNew, false, q) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { enqueue(ctx, e.Object, false, q) },
	}
}
