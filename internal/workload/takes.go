// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package workload knows what a Deployment, a StatefulSet or a DaemonSet does with a
// Secret: whether its pods take the Secret at their start and never look again, so
// that they have to be restarted when it changes, and whether such a restart has come
// to its end.
//
// It judges objects as the API server gives them and asks nobody, so that the same
// object always gives the same answer. It never says that a rollout is finished while
// some pod may run that was started before it.
package workload

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Template returns the pod template of a Deployment, StatefulSet or DaemonSet, and nil
// of anything else. It is a part of the object.
func Template(obj client.Object) *corev1.PodTemplateSpec {
	switch w := obj.(type) {
	case *appsv1.Deployment:
		return &w.Spec.Template
	case *appsv1.StatefulSet:
		return &w.Spec.Template
	case *appsv1.DaemonSet:
		return &w.Spec.Template
	}
	return nil
}

// TakesAtStart reports whether a pod of this template takes the Secret of that name
// in a way that keeps what it was when the pod started: by env, by envFrom, or by a
// mount with subPath or subPathExpr. Any other mount is brought up to date by the
// kubelet.
func TakesAtStart(template *corev1.PodTemplateSpec, secret string) bool {
	volumes := volumesOf(&template.Spec, secret)
	takes := func(container corev1.Container) bool {
		return slices.ContainsFunc(container.Env, func(e corev1.EnvVar) bool {
			return e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && e.ValueFrom.SecretKeyRef.Name == secret
		}) || slices.ContainsFunc(container.EnvFrom, func(e corev1.EnvFromSource) bool {
			return e.SecretRef != nil && e.SecretRef.Name == secret
		}) || slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool {
			return (m.SubPath != "" || m.SubPathExpr != "") && slices.Contains(volumes, m.Name)
		})
	}
	// Init containers include sidecars, which run as long as the pod.
	return slices.ContainsFunc(template.Spec.InitContainers, takes) || slices.ContainsFunc(template.Spec.Containers, takes)
}

// volumesOf returns the names of the volumes that the Secret is in.
func volumesOf(spec *corev1.PodSpec, secret string) []string {
	var names []string
	for i := range spec.Volumes {
		volume := &spec.Volumes[i]
		switch {
		case volume.Secret != nil && volume.Secret.SecretName == secret:
			names = append(names, volume.Name)
		case volume.Projected != nil && slices.ContainsFunc(volume.Projected.Sources, func(s corev1.VolumeProjection) bool {
			return s.Secret != nil && s.Secret.Name == secret
		}):
			names = append(names, volume.Name)
		}
	}
	return names
}
