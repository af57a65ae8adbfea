// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// rollouts are workloads as their controllers leave them, and what is waited for.
var rollouts = map[string]struct {
	into client.Object
	yaml string
	// waits is a part of what is waited for; "" for a rollout that is finished.
	waits string
}{
	"a Deployment that was just changed": {&appsv1.Deployment{},
		`{metadata: {generation: 2}, spec: {replicas: 1}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1}}`, unobserved},
	"a Deployment that has no status yet": {&appsv1.Deployment{}, `{metadata: {generation: 1}, spec: {replicas: 1}}`, unobserved},
	"a Deployment with too few new pods": {&appsv1.Deployment{},
		`{metadata: {generation: 2}, spec: {replicas: 3}, status: {observedGeneration: 2, replicas: 3, updatedReplicas: 1, availableReplicas: 3}}`, "1 of 3 pods are new"},
	"a Deployment with old pods": {&appsv1.Deployment{},
		`{metadata: {generation: 2}, spec: {replicas: 3}, status: {observedGeneration: 2, replicas: 4, updatedReplicas: 3, availableReplicas: 4}}`, "1 old pods are still there"},
	"a Deployment whose new pods are not available": {&appsv1.Deployment{},
		`{metadata: {generation: 2}, spec: {replicas: 3}, status: {observedGeneration: 2, replicas: 3, updatedReplicas: 3, availableReplicas: 2}}`, "2 of 3 new pods are available"},
	"a Deployment with pods that are terminating": {&appsv1.Deployment{},
		`{metadata: {generation: 2}, spec: {replicas: 3}, status: {observedGeneration: 2, replicas: 3, updatedReplicas: 3, availableReplicas: 3, terminatingReplicas: 2}}`, "2 pods are terminating"},
	"a Deployment that is done": {&appsv1.Deployment{},
		`{metadata: {generation: 2}, spec: {replicas: 3}, status: {observedGeneration: 3, replicas: 3, updatedReplicas: 3, availableReplicas: 3, terminatingReplicas: 0}}`, ""},
	"a Deployment of one replica by default": {&appsv1.Deployment{}, `{metadata: {generation: 2}, status: {observedGeneration: 2}}`, "0 of 1 pods are new"},
	"a Deployment of none":                   {&appsv1.Deployment{}, `{metadata: {generation: 2}, spec: {replicas: 0}, status: {observedGeneration: 2}}`, ""},
	"a Deployment of none with an old pod": {&appsv1.Deployment{},
		`{metadata: {generation: 2}, spec: {replicas: 0}, status: {observedGeneration: 2, replicas: 1}}`, "1 old pods are still there"},
	"a Deployment that is paused in the middle": {&appsv1.Deployment{},
		`{metadata: {generation: 2}, spec: {replicas: 3, paused: true}, status: {observedGeneration: 2, replicas: 3, updatedReplicas: 1, availableReplicas: 3}}`, "paused: resume it"},
	"a Deployment that is paused, and done": {&appsv1.Deployment{},
		`{metadata: {generation: 2}, spec: {replicas: 1, paused: true}, status: {observedGeneration: 2, replicas: 1, updatedReplicas: 1, availableReplicas: 1}}`, ""},
	"a Deployment that makes no progress": {&appsv1.Deployment{},
		`{metadata: {generation: 2}, spec: {replicas: 3}, status: {observedGeneration: 2, replicas: 4, updatedReplicas: 1, availableReplicas: 3,
		conditions: [{type: Available, status: "True"}, {type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}}`, "exceeded its progress deadline"},
	"a Deployment that got over its deadline": {&appsv1.Deployment{},
		`{metadata: {generation: 2}, spec: {replicas: 1}, status: {observedGeneration: 2, replicas: 1, updatedReplicas: 1, availableReplicas: 1,
		conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}}`, ""},

	"a StatefulSet that was just changed": {&appsv1.StatefulSet{},
		`{metadata: {generation: 2}, spec: {replicas: 1}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1}}`, unobserved},
	"a StatefulSet with too few new pods": {&appsv1.StatefulSet{},
		`{metadata: {generation: 2}, spec: {replicas: 3}, status: {observedGeneration: 2, replicas: 3, updatedReplicas: 2, availableReplicas: 3}}`, "2 of 3 pods are new"},
	"a StatefulSet with a partition": {&appsv1.StatefulSet{},
		`{metadata: {generation: 2}, spec: {replicas: 3, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}},
		status: {observedGeneration: 2, replicas: 3, updatedReplicas: 1, availableReplicas: 3, currentRevision: a, updateRevision: b}}`, "below its partition of 2"},
	"a StatefulSet of which old pods are deleted by hand": {&appsv1.StatefulSet{},
		`{metadata: {generation: 2}, spec: {replicas: 3, updateStrategy: {type: OnDelete}},
		status: {observedGeneration: 2, replicas: 3, updatedReplicas: 1, availableReplicas: 3}}`, "OnDelete: delete the others"},
	"a StatefulSet of which all old pods were deleted": {&appsv1.StatefulSet{},
		`{metadata: {generation: 2}, spec: {replicas: 3, updateStrategy: {type: OnDelete}},
		status: {observedGeneration: 2, replicas: 3, updatedReplicas: 3, availableReplicas: 3, currentRevision: a, updateRevision: b}}`, ""},
	"a StatefulSet that was made smaller": {&appsv1.StatefulSet{},
		`{metadata: {generation: 2}, spec: {replicas: 1}, status: {observedGeneration: 2, replicas: 2, updatedReplicas: 1, availableReplicas: 2}}`, "1 old pods are still there"},
	"a StatefulSet whose new pods are not available": {&appsv1.StatefulSet{},
		`{metadata: {generation: 2}, spec: {replicas: 3}, status: {observedGeneration: 2, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 2}}`, "2 of 3 new pods are available"},
	"a StatefulSet that is done": {&appsv1.StatefulSet{},
		`{metadata: {generation: 2}, spec: {replicas: 3}, status: {observedGeneration: 2, replicas: 3, updatedReplicas: 3, availableReplicas: 3}}`, ""},
	"a StatefulSet of none": {&appsv1.StatefulSet{}, `{metadata: {generation: 2}, spec: {replicas: 0}, status: {observedGeneration: 2}}`, ""},

	"a DaemonSet that was just changed": {&appsv1.DaemonSet{},
		`{metadata: {generation: 2}, status: {observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2}}`, unobserved},
	"a DaemonSet with too few new pods": {&appsv1.DaemonSet{},
		`{metadata: {generation: 2}, status: {observedGeneration: 2, desiredNumberScheduled: 5, updatedNumberScheduled: 4, numberAvailable: 5}}`, "4 of 5 pods are new"},
	"a DaemonSet of which old pods are deleted by hand": {&appsv1.DaemonSet{},
		`{metadata: {generation: 2}, spec: {updateStrategy: {type: OnDelete}}, status: {observedGeneration: 2, desiredNumberScheduled: 5, numberAvailable: 5}}`, "OnDelete: delete the others"},
	"a DaemonSet whose new pods are not available": {&appsv1.DaemonSet{},
		`{metadata: {generation: 2}, status: {observedGeneration: 2, desiredNumberScheduled: 5, updatedNumberScheduled: 5, numberAvailable: 4}}`, "4 of 5 new pods are available"},
	"a DaemonSet that is done": {&appsv1.DaemonSet{},
		`{metadata: {generation: 2}, status: {observedGeneration: 2, desiredNumberScheduled: 5, updatedNumberScheduled: 5, numberAvailable: 5}}`, ""},
	"a DaemonSet without a node": {&appsv1.DaemonSet{}, `{metadata: {generation: 1}, status: {observedGeneration: 1}}`, ""},
	"something else":             {&batchv1.CronJob{}, `{}`, "has no rollout"},
}

func TestWhatARolloutWaitsFor(t *testing.T) {
	for name, test := range rollouts {
		t.Run(name, func(t *testing.T) {
			if err := yaml.UnmarshalStrict([]byte(test.yaml), test.into); err != nil {
				t.Fatal(err)
			}
			got := Unfinished(test.into)
			if (got == "") != (test.waits == "") || !strings.Contains(got, test.waits) {
				t.Errorf("got %q, want %q", got, test.waits)
			}
		})
	}
}

func TestPaused(t *testing.T) {
	if !Paused(&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Paused: true}}) || Paused(&appsv1.Deployment{}) || Paused(&appsv1.StatefulSet{}) {
		t.Error("only a Deployment whose spec says so is paused")
	}
}
