// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// relax has the API server store anything as spec.ttl, as if an earlier schema had, for
// as long as this API server lives. Nothing else of the schema changes.
func (w *world) relax(ctx context.Context) error {
	const field = "/spec/versions/0/schema/openAPIV3Schema/properties/spec"
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": field + "/properties/ttl", "value": map[string]any{"x-kubernetes-preserve-unknown-fields": true}},
		// A rule about the whole does not compile without the type of what it is about.
		{"op": "remove", "path": field + "/x-kubernetes-validations"},
	})
	if err != nil {
		return err
	}
	definition := &unstructured.Unstructured{}
	definition.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	definition.SetName("apikeys." + v1alpha1.GroupVersion.Group)
	if err := w.admin.Patch(ctx, definition, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		return fmt.Errorf("relax the schema of APIKeys: %w", err)
	}
	return nil
}

// poison has an APIKey be there for a while that no program can decode. Whatever others
// are promised holds meanwhile, and it can be deleted.
func (w *world) poison(ctx context.Context, lasts time.Duration) error {
	pill := &unstructured.Unstructured{}
	pill.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("APIKey"))
	pill.SetNamespace(namespace)
	pill.SetName(fmt.Sprintf("pill%05d", w.minted.Add(1)))
	pill.Object["spec"] = map[string]any{
		"organizationRef": map[string]any{"name": organization},
		"ttl":             []any{"not", "a duration"},
	}
	create := func(ctx context.Context) error {
		// The API server follows a changed schema a moment later, and until then refuses this.
		return client.IgnoreAlreadyExists(w.admin.Create(ctx, pill.DeepCopy()))
	}
	if err := try(ctx, create); err != nil {
		return fmt.Errorf("create what cannot be decoded: %w", err)
	}
	if err := wait(ctx, lasts); err != nil {
		return err
	}
	gone := func(ctx context.Context) error {
		if err := client.IgnoreNotFound(w.admin.Delete(ctx, pill.DeepCopy())); err != nil {
			return err
		}
		err := w.admin.Get(ctx, client.ObjectKeyFromObject(pill), pill.DeepCopy())
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is still there: %w", err)
	}
	if err := try(ctx, gone); err != nil {
		return fmt.Errorf("delete what cannot be decoded: %w", err)
	}
	return nil
}

// bloat has a key whose APIKey is as large as is accepted, which is then suspended and
// deleted: both make it larger.
func (w *world) bloat(ctx context.Context, lasts time.Duration) error {
	s, err := w.mint(ctx, func(key *v1alpha1.APIKey) {
		key.Annotations, key.Labels = map[string]string{}, map[string]string{}
		for i := range 60 {
			key.Annotations[fmt.Sprintf("note-%02d.example.com/%s", i, strings.Repeat("n", 60))] = strings.Repeat("x", 2000)
			key.Labels[fmt.Sprintf("label-%02d.example.com/%s", i, strings.Repeat("n", 60))] = strings.Repeat("x", 63)
		}
		key.Spec.Description = strings.Repeat("d", 1024)
		key.Spec.Secret.Data = map[string]v1alpha1.DataTemplate{}
		for i := range 3 {
			key.Spec.Secret.Data[fmt.Sprint("entry-", i)] = v1alpha1.DataTemplate(strings.Repeat("e", 16<<10))
		}
	})
	if err != nil {
		return fmt.Errorf("a large APIKey: %w", err)
	}
	if !s.busy.CompareAndSwap(false, true) {
		return nil // Somebody has chosen it already.
	}
	defer s.busy.Store(false)
	if err := w.suspend(ctx, s, lasts); err != nil {
		return err
	}
	return w.remove(ctx, s)
}
