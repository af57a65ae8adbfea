// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

// floorSamples is how many deletions, one after another, the floor is measured by.
const floorSamples = 100

// floor is what the API server alone takes for the three writes of a deletion, with
// none of the product's programs running: nothing that waits for it can be faster.
type floor struct {
	// done is from the delete call until the APIKey is gone.
	done []time.Duration
	// deletes is how many a second are gone when all are asked for at once.
	deletes float64
}

// measureFloor stops the product and does what it does for a deletion itself.
func (b *bench) measureFloor(ctx context.Context, burst int) (floor, error) {
	fmt.Fprintln(os.Stderr, "bench: the same writes without the product")
	for _, process := range b.product.Processes() {
		if err := process.Stop(ctx); err != nil {
			return floor{}, err
		}
	}
	config, err := b.product.ControlPlane.ServiceAccount(ctx, stack.Namespace, stack.ManagerAccount)
	if err != nil {
		return floor{}, err
	}
	config.QPS = -1
	manager, err := client.New(config, client.Options{Scheme: b.client.Scheme()})
	if err != nil {
		return floor{}, err
	}
	keys := make([]*v1alpha1.APIKey, floorSamples+burst)
	if err := atMost(ctx, burstRequests, len(keys), func(ctx context.Context, i int) (err error) {
		keys[i], err = b.pretend(ctx, manager, fmt.Sprintf("floor-%05d", i))
		return err
	}); err != nil {
		return floor{}, fmt.Errorf("make keys: %w", err)
	}
	var f floor
	for _, key := range keys[:floorSamples] {
		began := time.Now()
		if err := b.end(ctx, manager, key); err != nil {
			return floor{}, fmt.Errorf("delete: %w", err)
		}
		f.done = append(f.done, time.Since(began))
	}
	began := time.Now()
	err = atMost(ctx, burstRequests, burst, func(ctx context.Context, i int) error {
		return b.end(ctx, manager, keys[floorSamples+i])
	})
	f.deletes = float64(burst) / time.Since(began).Seconds()
	return f, err
}

// atMost does something for each number below count, so many at a time.
func atMost(ctx context.Context, limit, count int, do func(context.Context, int) error) error {
	doing, ctx := errgroup.WithContext(ctx)
	doing.SetLimit(limit)
	for i := range count {
		doing.Go(func() error { return do(ctx, i) })
	}
	return doing.Wait()
}

// pretend makes an APIKey and its Secret as they are when a key works.
func (b *bench) pretend(ctx context.Context, manager client.Client, name string) (*v1alpha1.APIKey, error) {
	key := &v1alpha1.APIKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Finalizers: []string{v1alpha1.Finalizer}},
		Spec:       v1alpha1.APIKeySpec{OrganizationRef: v1alpha1.OrganizationReference{Name: organization}},
	}
	if err := b.client.Create(ctx, key); err != nil {
		return nil, err
	}
	before := key.DeepCopy()
	for _, condition := range []string{v1alpha1.ConditionPermitted, v1alpha1.ConditionRegistered, v1alpha1.ConditionPublished, v1alpha1.ConditionReady} {
		key.Status.Conditions = append(key.Status.Conditions, metav1.Condition{
			Type: condition, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, LastTransitionTime: metav1.Now(),
			Message: "as long as the sentence that the manager would write here is",
		})
	}
	if err := manager.Status().Patch(ctx, key, client.MergeFrom(before)); err != nil {
		return nil, err
	}
	return key, manager.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(key, v1alpha1.GroupVersion.WithKind("APIKey"))},
		},
	})
}

// end deletes an APIKey as its user and the manager do.
func (b *bench) end(ctx context.Context, manager client.Client, key *v1alpha1.APIKey) error {
	if err := b.client.Delete(ctx, key); err != nil {
		return err
	}
	if err := manager.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}); err != nil {
		return err
	}
	before := key.DeepCopy()
	key.Finalizers = nil
	return manager.Patch(ctx, key, client.MergeFrom(before))
}
