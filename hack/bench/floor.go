// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/hack/load"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

// floorCount is how many lives the floor is measured by, one after another.
const floorCount = 100

// floor makes the writes of the life of a key, and nothing else, while none of the product's
// programs runs: nothing that waits for an API server can be faster.
type floor struct {
	bench *bench
	// manager writes as the manager does.
	manager client.Client
	// status and secret are of a key that the product has made.
	status v1alpha1.APIKeyStatus
	secret corev1.Secret
}

// newFloor has the product make a key, and then stops it.
func (b *bench) newFloor(ctx context.Context) (*floor, error) {
	f := &floor{bench: b}
	const model = "model"
	if _, _, err := b.mint(ctx, model); err != nil {
		return nil, err
	}
	key := newKey(model)
	if err := b.client.Get(ctx, client.ObjectKeyFromObject(key), key); err != nil {
		return nil, err
	}
	if err := b.client.Get(ctx, client.ObjectKeyFromObject(key), &f.secret); err != nil {
		return nil, err
	}
	f.status = key.Status
	for name, value := range f.secret.Data {
		f.secret.Data[name] = make([]byte, len(value))
	}
	for _, process := range b.product.Processes() {
		if err := process.Stop(ctx); err != nil {
			return nil, err
		}
	}
	config, err := b.product.ControlPlane.ServiceAccount(ctx, stack.Namespace, stack.ManagerAccount)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	f.manager, err = client.New(config, client.Options{Scheme: b.client.Scheme()})
	return f, err
}

// figures are the floor, and how far what was measured is from it.
func (f *floor) figures(ctx context.Context, ready, done load.Latencies, mints float64, count int) ([]figure, error) {
	note("the same writes without the product")
	var bareReady, bareDone load.Latencies
	for _, name := range numbered("floor", floorCount) {
		began := time.Now()
		if err := f.mint(ctx, name); err != nil {
			return nil, fmt.Errorf("write a key: %w", err)
		}
		minted := time.Now()
		if err := f.end(ctx, name); err != nil {
			return nil, fmt.Errorf("delete a key: %w", err)
		}
		bareReady, bareDone = append(bareReady, minted.Sub(began)), append(bareDone, time.Since(minted))
	}
	slices.Sort(bareReady)
	slices.Sort(bareDone)
	figures := []figure{
		{name: "floor_ready_p50_ms", value: percentile(bareReady, 50)},
		{name: "floor_done_p50_ms", value: percentile(bareDone, 50)},
		{name: "ready_p50_ratio", value: percentile(ready, 50) / percentile(bareReady, 50)},
		{name: "done_p50_ratio", value: percentile(done, 50) / percentile(bareDone, 50), most: 1.7},
	}
	if count == 0 {
		return figures, nil
	}
	began := time.Now()
	if err := each(ctx, numbered("floor-burst", count), f.mint); err != nil {
		return nil, fmt.Errorf("write many keys: %w", err)
	}
	bareMints := float64(count) / time.Since(began).Seconds()
	return append(figures,
		figure{name: "floor_mints_per_s", value: bareMints},
		figure{name: "burst_ratio", value: mints / bareMints, least: 0.65}), nil
}

// mint makes the writes by which a key comes to work: its user's, and the four of the manager.
func (f *floor) mint(ctx context.Context, name string) error {
	key := newKey(name)
	if err := f.bench.client.Create(ctx, key); err != nil {
		return err
	}
	before := key.DeepCopy()
	key.Finalizers = []string{v1alpha1.Finalizer}
	if err := f.manager.Patch(ctx, key, client.MergeFrom(before)); err != nil {
		return err
	}
	before = key.DeepCopy()
	f.status.DeepCopyInto(&key.Status)
	key.Status.KeyID, key.Status.SecretRef = "", nil
	if err := f.manager.Status().Patch(ctx, key, client.MergeFrom(before)); err != nil {
		return err
	}
	secret := f.secret.DeepCopy()
	secret.ObjectMeta = metav1.ObjectMeta{
		Namespace: tenant, Name: name, Labels: f.secret.Labels, Annotations: f.secret.Annotations,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(key, v1alpha1.GroupVersion.WithKind("APIKey"))},
	}
	if err := f.manager.Create(ctx, secret); err != nil {
		return err
	}
	before = key.DeepCopy()
	f.status.DeepCopyInto(&key.Status)
	return f.manager.Status().Patch(ctx, key, client.MergeFrom(before))
}

// end makes the writes by which a key ends: its user's, and the two of the manager.
func (f *floor) end(ctx context.Context, name string) error {
	key := newKey(name)
	if err := f.bench.client.Delete(ctx, key); err != nil {
		return err
	}
	if err := f.manager.Delete(ctx, &corev1.Secret{ObjectMeta: key.ObjectMeta}); err != nil {
		return err
	}
	return f.manager.Patch(ctx, key, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))
}
