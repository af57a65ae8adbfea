// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

const (
	// stampPolicy is how kubectl names the product's policy that changes objects.
	stampPolicy = "mutatingadmissionpolicy.admissionregistration.k8s.io/apikey-requested-by"
	// stampTimeout bounds the wait for it. The API server looks for the schema of a new kind every 5 seconds, and refuses
	// what the policy is for until it has found it.
	stampTimeout = 30 * time.Second
)

// awaitStamp waits until the API server applies the policy to objects of the product.
func (cp *ControlPlane) awaitStamp(ctx context.Context) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, stampTimeout, true, func(ctx context.Context) (bool, error) {
		probe := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"namespaces": map[string]any{"names": []any{"probe"}}}}}
		probe.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Organization"))
		probe.SetGenerateName("probe-")
		last = cp.client.Create(ctx, probe, client.DryRunAll)
		if apierrors.IsNotFound(last) || apierrors.IsServiceUnavailable(last) {
			return false, nil
		}
		// Whatever else is wrong is not going to be right.
		return probe.GetAnnotations()[v1alpha1.AnnotationRequestedBy] != "", last
	})
	if err != nil {
		return errors.Join(fmt.Errorf("wait for %s: %w", stampPolicy, err), last)
	}
	return nil
}
