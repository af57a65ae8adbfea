// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// tokenSeconds is how long a ServiceAccount's token is valid: longer than any test or demo.
const tokenSeconds int64 = 24 * 60 * 60

// Admin returns a configuration for the user "admin", who may do everything. The client does not limit its own rate.
func (cp *ControlPlane) Admin() *rest.Config { return rest.CopyConfig(cp.admin) }

// AdminKubeconfig is the path of a kubeconfig for the same user.
func (cp *ControlPlane) AdminKubeconfig() string { return filepath.Join(cp.dir, "admin.kubeconfig") }

// ServiceAccount returns a configuration with a fresh token of the ServiceAccount, and with the rights that RBAC gives it.
// It waits until the ServiceAccount exists, as long as ctx lets it.
func (cp *ControlPlane) ServiceAccount(ctx context.Context, namespace, name string) (*rest.Config, error) {
	account := serviceAccount(namespace, name)
	if err := cp.awaitObject(ctx, account); err != nil {
		return nil, err
	}
	return cp.withToken(ctx, account, nil)
}

func serviceAccount(namespace, name string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

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

// withToken returns a configuration with a fresh token of the ServiceAccount, bound to an object if one is given.
func (cp *ControlPlane) withToken(ctx context.Context, account *corev1.ServiceAccount, bound *authenticationv1.BoundObjectReference) (*rest.Config, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(tokenSeconds), BoundObjectRef: bound}}
	if err := cp.client.SubResource("token").Create(ctx, account, request); err != nil {
		return nil, fmt.Errorf("token for %s: %w", client.ObjectKeyFromObject(account), err)
	}
	return cp.config(request.Status.Token), nil
}

// WriteKubeconfig writes a file that only its owner can read.
func WriteKubeconfig(cfg *rest.Config, path string) error {
	const name = "controlplane"
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters[name] = &clientcmdapi.Cluster{Server: cfg.Host, CertificateAuthorityData: cfg.CAData}
	kubeconfig.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: cfg.BearerToken}
	kubeconfig.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	kubeconfig.CurrentContext = name
	if err := clientcmd.WriteToFile(*kubeconfig, path); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}
