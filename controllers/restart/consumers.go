// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package restart

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/refusal"
	"github.com/hexcovery/apikey-operator/internal/workload"
)

// RestarterRole is the ClusterRole that lets the manager restart workloads. It is
// bound to nobody unless an admin does it: who may change a pod template may run
// anything in its place.
const RestarterRole = "apikey-restarter"

// consumersPage is how many workloads are held at once. A tenant may make each as large as
// etcd takes, 1.5 MiB, and have many of them.
const consumersPage = 4

// eachConsumer calls do for each workload that spec.rotation.restart is about, read from
// the API server. What cannot be read is in found.
func (r *Reconciler) eachConsumer(ctx context.Context, found *findings, do func(client.Object)) {
	key := found.apiKey
	if key.Spec.Rotation.Restart.Policy == v1alpha1.RestartNamed {
		r.eachNamedConsumer(ctx, found, do)
		return
	}
	for _, list := range []client.ObjectList{&appsv1.DeploymentList{}, &appsv1.StatefulSetList{}, &appsv1.DaemonSetList{}} {
		err := r.eachOf(ctx, list, key.Namespace, func(obj client.Object) {
			if obj.GetDeletionTimestamp().IsZero() && workload.TakesAtStart(workload.Template(obj), key.SecretName()) {
				do(obj)
			}
		})
		by, refused := refusal.Of(err)
		switch {
		case refused:
			found.complainOfRights("look for workloads that read the Secret only when they start", by)
			return
		case err != nil:
			found.fail(ctx, "what takes the Secret", err)
		}
	}
}

// eachOf calls f for each object of a namespace, and holds two pages at a time.
func (r *Reconciler) eachOf(ctx context.Context, list client.ObjectList, namespace string, f func(client.Object)) error {
	page := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		next := list.DeepCopyObject().(client.ObjectList)
		return next, r.Live.List(ctx, next, &client.ListOptions{Namespace: namespace, Limit: options.Limit, Continue: options.Continue})
	}
	pages := pager.New(page)
	// Without the whole list where a page has expired: it is begun anew at the next look.
	pages.PageSize, pages.PageBufferSize, pages.FullListIfExpired = consumersPage, 0, false
	return pages.EachListItemWithAlloc(ctx, metav1.ListOptions{}, func(obj runtime.Object) error {
		if o, ok := obj.(client.Object); ok {
			f(o)
		}
		return nil
	})
}

func (r *Reconciler) eachNamedConsumer(ctx context.Context, found *findings, do func(client.Object)) {
	for _, reference := range found.apiKey.Spec.Rotation.Restart.Workloads {
		obj := emptyWorkload(reference.Kind)
		if obj == nil {
			continue
		}
		obj.SetNamespace(found.apiKey.Namespace)
		obj.SetName(reference.Name)
		name := nameOf(obj)
		err := r.Live.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		by, refused := refusal.Of(err)
		switch {
		case apierrors.IsNotFound(err):
			found.complainOfAbsence(name)
		case refused:
			found.complainOfRights("look at "+name, by)
		case err != nil:
			found.fail(ctx, name, err)
		case obj.GetDeletionTimestamp().IsZero():
			do(obj)
		}
	}
}

// emptyWorkload returns an object of a kind, and nil for one that the schema refuses.
func emptyWorkload(kind string) client.Object {
	switch kind {
	case "Deployment":
		return &appsv1.Deployment{}
	case "StatefulSet":
		return &appsv1.StatefulSet{}
	case "DaemonSet":
		return &appsv1.DaemonSet{}
	}
	return nil
}

// nameOf names a workload as people do. Objects from a list do not say their kind.
func nameOf(obj client.Object) string {
	kind := "workload"
	switch obj.(type) {
	case *appsv1.Deployment:
		kind = "Deployment"
	case *appsv1.StatefulSet:
		kind = "StatefulSet"
	case *appsv1.DaemonSet:
		kind = "DaemonSet"
	}
	return kind + " " + obj.GetName()
}
