// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	toolswatch "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/controllers"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

// tenant is the namespace of every key here, and its organization.
const tenant = "bench"

// bench is the running product, and what is needed to measure it.
type bench struct {
	product *stack.Stack
	client  client.WithWatch
	// watch has every event of an APIKey.
	watch watch.Interface
}

// withProduct runs the product, which has a tenant, as long as measure takes.
func withProduct(ctx context.Context, options stack.Options, measure func(*bench) error) (err error) {
	options.Log = os.Stderr
	product, err := stack.Start(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, product.Stop()) }()
	b := &bench{product: product}
	if err := b.prepare(ctx); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	defer b.watch.Stop()
	return measure(b)
}

func (b *bench) prepare(ctx context.Context) error {
	scheme, err := controllers.NewScheme()
	if err != nil {
		return err
	}
	if b.client, err = client.NewWithWatch(b.product.ControlPlane.Admin(), client.Options{Scheme: scheme}); err != nil {
		return err
	}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant}},
		&v1alpha1.Organization{
			ObjectMeta: metav1.ObjectMeta{Name: tenant},
			Spec:       v1alpha1.OrganizationSpec{Namespaces: v1alpha1.NamespacePolicy{Selector: metav1.SetAsLabelSelector(labels.Set{corev1.LabelMetadataName: tenant})}},
		},
	} {
		if err := b.client.Create(ctx, object); err != nil {
			return err
		}
	}
	list := &v1alpha1.APIKeyList{}
	if err := b.client.List(ctx, list, client.InNamespace(tenant)); err != nil {
		return err
	}
	// The API server ends a watch that is too slow, as this may be on a busy machine.
	b.watch, err = toolswatch.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return b.client.Watch(ctx, list, client.InNamespace(tenant), &client.ListOptions{Raw: &options})
		},
	})
	return err
}

// newKey returns an APIKey of the tenant.
func newKey(name string) *v1alpha1.APIKey {
	return &v1alpha1.APIKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: name},
		Spec:       v1alpha1.APIKeySpec{OrganizationRef: v1alpha1.OrganizationReference{Name: tenant}},
	}
}

func (b *bench) create(ctx context.Context, name string) error {
	return b.client.Create(ctx, newKey(name))
}

func (b *bench) delete(ctx context.Context, name string) error {
	return b.client.Delete(ctx, newKey(name))
}

// mint creates an APIKey, and returns the key when it works, and how long that took
// from the call to Ready=True.
func (b *bench) mint(ctx context.Context, name string) (key string, took time.Duration, err error) {
	applied := time.Now()
	if err := b.create(ctx, name); err != nil {
		return "", 0, fmt.Errorf("create: %w", err)
	}
	ready, err := b.await(ctx, becameReady, name)
	if err != nil {
		return "", 0, fmt.Errorf("wait until it is ready: %w", err)
	}
	secret := &corev1.Secret{}
	if err := b.client.Get(ctx, client.ObjectKey{Namespace: tenant, Name: name}, secret); err != nil {
		return "", 0, fmt.Errorf("read the key: %w", err)
	}
	return string(secret.Data[v1alpha1.SecretKeyAPIKey]), ready.Sub(applied), nil
}

// await waits until the watch has shown each APIKey of these names as it is wanted, and
// returns when it has shown the last of them. One at a time may wait.
func (b *bench) await(ctx context.Context, wanted sight, names ...string) (at time.Time, err error) {
	for missing := sets.New(names...); missing.Len() > 0; {
		select {
		case <-ctx.Done():
			return at, context.Cause(ctx)
		case event, ok := <-b.watch.ResultChan():
			at = time.Now()
			key, isKey := event.Object.(*v1alpha1.APIKey)
			switch {
			case !ok || !isKey:
				return at, errors.New("the watch has ended")
			case wanted(event.Type, key):
				missing.Delete(key.Name)
			}
		}
	}
	return at, nil
}

// sight judges one event of the watch.
type sight func(watch.EventType, *v1alpha1.APIKey) bool

func becameReady(_ watch.EventType, key *v1alpha1.APIKey) bool {
	return meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)
}

func isGone(event watch.EventType, _ *v1alpha1.APIKey) bool { return event == watch.Deleted }
