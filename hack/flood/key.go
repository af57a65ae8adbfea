// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

const (
	// name is that of the namespace, the Organization and the APIKey.
	name = "flood"
	// readyTimeout bounds the wait for the key.
	readyTimeout = 30 * time.Second
)

// mintKey returns a key that the product has made.
func mintKey(ctx context.Context, product *stack.Stack) (string, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return "", err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return "", err
	}
	c, err := client.New(product.ControlPlane.Admin(), client.Options{Scheme: scheme})
	if err != nil {
		return "", fmt.Errorf("mint a key: %w", err)
	}
	key := &v1alpha1.APIKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: name},
		Spec:       v1alpha1.APIKeySpec{OrganizationRef: v1alpha1.OrganizationReference{Name: name}},
	}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}},
		&v1alpha1.Organization{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       v1alpha1.OrganizationSpec{Namespaces: v1alpha1.NamespacePolicy{Names: []string{name}}},
		},
		key,
	} {
		if err := c.Create(ctx, object); err != nil {
			return "", fmt.Errorf("mint a key: %w", err)
		}
	}
	err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, readyTimeout, true, func(ctx context.Context) (bool, error) {
		if err := c.Get(ctx, client.ObjectKeyFromObject(key), key); err != nil {
			return false, err
		}
		return meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady), nil
	})
	if err != nil {
		return "", fmt.Errorf("wait until the key is ready: %w", err)
	}
	secret := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKeyFromObject(key), secret); err != nil {
		return "", fmt.Errorf("read the key: %w", err)
	}
	return string(secret.Data[v1alpha1.SecretKeyAPIKey]), nil
}
