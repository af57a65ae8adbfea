// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// leisure is how long a pod goes on sending after it was deleted: its end takes time.
const leisure = 2 * time.Second

// consumers is a Deployment whose pods take the key of a Secret by env.
func consumers(namespace, secret string, replicas int) *appsv1.Deployment {
	labels := map[string]string{"app": "consumer"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "consumer"},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To(int32(replicas)),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "consumer", Image: "consumer",
					Env: []corev1.EnvVar{{Name: "KEY", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
						LocalObjectReference: corev1.LocalObjectReference{Name: secret}, Key: "HEXCOVERY_API_KEY",
					}}}},
				}}},
			},
		},
	}
}

// node stands in for a kubelet: it runs a client for each pod, with the environment
// that the pod has at its start, and says that the pod is ready.
type node struct {
	client client.WithWatch
	load   *load
	// pods that run, by UID.
	pods map[types.UID]context.CancelFunc
	// started counts pods.
	started int
	running sync.WaitGroup
}

// run runs the pods of a namespace until ctx is done.
func (n *node) run(ctx context.Context, namespace string) error {
	defer n.running.Wait()
	events, err := n.client.Watch(ctx, &corev1.PodList{}, client.InNamespace(namespace))
	if err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	defer events.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-events.ResultChan():
			if !ok {
				return fmt.Errorf("the watch of pods ended")
			}
			pod, ok := event.Object.(*corev1.Pod)
			if !ok {
				return fmt.Errorf("watch pods: %v", event.Object)
			}
			if err := n.sync(ctx, event.Type, pod); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

func (n *node) sync(ctx context.Context, event watch.EventType, pod *corev1.Pod) error {
	stop, runs := n.pods[pod.UID]
	switch {
	case event == watch.Deleted && runs:
		delete(n.pods, pod.UID)
		time.AfterFunc(leisure, stop)
	case event == watch.Added && !runs:
		return n.start(ctx, pod)
	}
	return nil
}

func (n *node) start(ctx context.Context, pod *corev1.Pod) error {
	source := pod.Spec.Containers[0].Env[0].ValueFrom.SecretKeyRef
	secret := &corev1.Secret{}
	if err := n.client.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: source.Name}, secret); err != nil {
		return fmt.Errorf("start pod %s: %w", pod.Name, err)
	}
	key := string(secret.Data[source.Key])
	running, stop := context.WithCancel(ctx)
	n.pods[pod.UID] = stop
	n.started++
	n.running.Go(func() { n.load.client(running, "pod "+pod.Name, func() string { return key }) })

	before := pod.DeepCopy()
	now := metav1.Now()
	pod.Status.Phase = corev1.PodRunning
	pod.Status.StartTime = &now
	pod.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: now},
		{Type: corev1.ContainersReady, Status: corev1.ConditionTrue, LastTransitionTime: now},
	}
	// A pod that is gone meanwhile is seen to be deleted next.
	return client.IgnoreNotFound(n.client.Status().Patch(ctx, pod, client.MergeFrom(before)))
}
