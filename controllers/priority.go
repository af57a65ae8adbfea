// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

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
		if prioritized, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
			request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(key)}
			prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: ptr.To(revocationPriority)}, request)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { enqueue(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { enqueue(e.ObjectNew, q) },
	}
}
