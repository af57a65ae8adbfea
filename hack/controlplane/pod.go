// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Pod returns a configuration with a fresh token as a pod of this name has it, and the UID of that pod, which the token says.
// The pod is made if there is none. There is no node that would run it: whoever starts a program with this token is the pod.
func (cp *ControlPlane) Pod(ctx context.Context, namespace, account, name string) (*rest.Config, types.UID, error) {
	owner := serviceAccount(namespace, account)
	if err := cp.awaitObject(ctx, owner); err != nil {
		return nil, "", err
	}
	pod := podOf(namespace, account, name)
	err := cp.client.Create(ctx, pod)
	if apierrors.IsAlreadyExists(err) {
		err = cp.client.Get(ctx, client.ObjectKeyFromObject(pod), pod)
	}
	if err != nil {
		return nil, "", fmt.Errorf("pod %s: %w", name, err)
	}
	cfg, err := cp.withToken(ctx, owner, &authenticationv1.BoundObjectReference{
		APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID,
	})
	return cfg, pod.UID, err
}

// podOf returns a pod as the strictest of the pod security standards wants it.
func podOf(namespace, account, name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			ServiceAccountName: account,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   ptr.To(true),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "program", Image: "none",
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}
