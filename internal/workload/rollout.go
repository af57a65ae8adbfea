// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Paused reports whether a change of the template starts no rollout until a person
// resumes it. Only a Deployment can be paused.
func Paused(obj client.Object) bool {
	deployment, ok := obj.(*appsv1.Deployment)
	return ok && deployment.Spec.Paused
}

// Unfinished says what the rollout of the template waits for, and "" when every pod
// that runs is of the template as it is now.
//
// It asks for more than kubectl rollout status, which is done with a StatefulSet when
// the pods above its partition are new, and does not judge OnDelete: here the pods
// that stay behind matter. And it waits for the end of pods that are terminating, as
// far as the status counts them.
func Unfinished(obj client.Object) string {
	switch w := obj.(type) {
	case *appsv1.Deployment:
		return unfinishedDeployment(w)
	case *appsv1.StatefulSet:
		return unfinishedStatefulSet(w)
	case *appsv1.DaemonSet:
		return unfinishedDaemonSet(w)
	}
	return fmt.Sprintf("%T has no rollout", obj)
}

const unobserved = "its change has not been observed yet"

func unfinishedDeployment(d *appsv1.Deployment) string {
	wanted, s := ptr.Deref(d.Spec.Replicas, 1), &d.Status
	var waits string
	switch {
	case d.Generation > s.ObservedGeneration:
		return unobserved
	case s.UpdatedReplicas < wanted:
		waits = fmt.Sprintf("%d of %d pods are new", s.UpdatedReplicas, wanted)
	case s.Replicas > s.UpdatedReplicas:
		waits = fmt.Sprintf("%d old pods are still there", s.Replicas-s.UpdatedReplicas)
	case s.AvailableReplicas < s.UpdatedReplicas:
		waits = fmt.Sprintf("%d of %d new pods are available", s.AvailableReplicas, s.UpdatedReplicas)
	case ptr.Deref(s.TerminatingReplicas, 0) > 0:
		return fmt.Sprintf("%d pods are terminating", *s.TerminatingReplicas)
	default:
		return ""
	}
	if d.Spec.Paused {
		return waits + ", and it is paused: resume it"
	}
	for i := range s.Conditions {
		// The reason is the deployment controller's; it goes on trying.
		if c := &s.Conditions[i]; c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded" {
			return waits + ", and it has exceeded its progress deadline: see why its new pods do not become available"
		}
	}
	return waits
}

func unfinishedStatefulSet(s *appsv1.StatefulSet) string {
	wanted := ptr.Deref(s.Spec.Replicas, 1)
	switch {
	case s.Generation > s.Status.ObservedGeneration:
		return unobserved
	case s.Status.UpdatedReplicas < wanted:
		return fmt.Sprintf("%d of %d pods are new", s.Status.UpdatedReplicas, wanted) + heldBack(s)
	case s.Status.Replicas > s.Status.UpdatedReplicas:
		return fmt.Sprintf("%d old pods are still there", s.Status.Replicas-s.Status.UpdatedReplicas)
	case s.Status.AvailableReplicas < wanted:
		return fmt.Sprintf("%d of %d new pods are available", s.Status.AvailableReplicas, wanted)
	}
	return ""
}

// heldBack says what a person has to do before pods of a StatefulSet become new.
func heldBack(s *appsv1.StatefulSet) string {
	strategy := &s.Spec.UpdateStrategy
	switch {
	case strategy.Type == appsv1.OnDeleteStatefulSetStrategyType:
		return onDelete
	case strategy.RollingUpdate != nil && ptr.Deref(strategy.RollingUpdate.Partition, 0) > 0:
		return fmt.Sprintf(", and those below its partition of %d stay as they are: lower it", *strategy.RollingUpdate.Partition)
	}
	return ""
}

const onDelete = ", and its update strategy is OnDelete: delete the others"

func unfinishedDaemonSet(d *appsv1.DaemonSet) string {
	s := &d.Status
	switch {
	case d.Generation > s.ObservedGeneration:
		return unobserved
	case s.UpdatedNumberScheduled < s.DesiredNumberScheduled:
		waits := fmt.Sprintf("%d of %d pods are new", s.UpdatedNumberScheduled, s.DesiredNumberScheduled)
		if d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
			waits += onDelete
		}
		return waits
	case s.NumberAvailable < s.DesiredNumberScheduled:
		return fmt.Sprintf("%d of %d new pods are available", s.NumberAvailable, s.DesiredNumberScheduled)
	}
	return ""
}
