// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
	"github.com/hexcovery/apikey-operator/internal/permission"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

// observe fills in what the caches say, each read once.
func (l *look) observe(ctx context.Context, key *v1alpha1.APIKey) error {
	remembered := l.recall(key.UID)
	l.facts = lifecycle.Facts{
		Now: l.Clock.Now(), Key: key,
		Repairs: remembered.repairs, Removed: remembered.removed, Released: remembered.released,
		Held: sets.New[string](), Acks: map[lifecycle.Purpose]lifecycle.Ack{}, Claims: map[string]bool{},
	}
	l.restored = lifecycle.FromBackup(key)
	if !key.DeletionTimestamp.IsZero() {
		return nil
	}
	if key.Refusal == "" {
		if err := l.observePermission(ctx, l.Client); err != nil {
			return err
		}
	}
	l.observeMinted(ctx)
	l.observeUsage()
	if err := l.observeRivals(ctx); err != nil {
		return err
	}
	return l.observeSecrets(ctx)
}

// observePermission finds out what reader has of the Organization and of the namespace.
func (l *look) observePermission(ctx context.Context, reader client.Reader) error {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(namespaceKind)
	if err := reader.Get(ctx, client.ObjectKey{Name: l.facts.Key.Namespace}, namespace); err != nil {
		return fmt.Errorf("get namespace: %w", err)
	}
	l.facts.Organization = nil
	l.facts.Namespace = lifecycle.Namespace{Terminating: !namespace.DeletionTimestamp.IsZero()}
	l.terms.Namespace = namespace.ResourceVersion
	organization := &v1alpha1.Organization{}
	switch err := reader.Get(ctx, client.ObjectKey{Name: l.facts.Key.Spec.OrganizationRef.Name}, organization); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("get organization: %w", err)
	}
	l.facts.Organization, l.terms.Organization = organization, organization.ResourceVersion
	permitted, err := permission.Of(&organization.Spec.Namespaces)
	l.facts.Namespace.Permitted, l.facts.Namespace.Unreadable = permitted.Permit(namespace.Labels), err != nil
	return nil
}

// observeMinted finds the key that this process has minted and not published yet.
func (l *look) observeMinted(ctx context.Context) {
	key := l.facts.Key
	if v := lifecycle.MintedIn(&key.Status, v1alpha1.VersionActive); v != nil {
		if _, ok := l.Escrow.Get(key.UID, v.ID); ok {
			// The answer to the write that said so was lost, so nobody was told yet.
			l.emit(ctx, []lifecycle.Transition{{What: lifecycle.Published, KeyID: v.ID, Reason: string(v.MintReason)}})
			l.Escrow.Drop(key.UID)
		}
	}
	v := lifecycle.MintedIn(&key.Status, v1alpha1.VersionPending)
	if v == nil {
		return
	}
	if plaintext, ok := l.Escrow.Get(key.UID, v.ID); ok {
		l.facts.Minted = v.ID
		l.hold(v.ID, plaintext)
	}
}

// observeUsage finds out what keys are used for.
func (l *look) observeUsage() {
	// Coverage first: what is gathered in between is then in the uses, and counts for less.
	coverage := l.Usage.Coverage()
	l.facts.Coverage = lifecycle.Coverage{Until: coverage.Until, LastGap: coverage.LastGap}
	l.facts.Uses = map[string]lifecycle.Use{}
	key := l.facts.Key
	for i := range key.Status.Versions {
		v := &key.Status.Versions[i]
		use := l.Usage.Use(key.UID, v.ID)
		observed := lifecycle.Use{LastUsed: use.LastUsed}
		if v.State == v1alpha1.VersionRetiring || v.State == v1alpha1.VersionRevoked {
			observed.Requests, observed.From = sourcesOf(use.Sources)
		}
		l.facts.Uses[v.ID] = observed
	}
	l.facts.Rollout = l.Rollouts.Rollout(key)
}

// namedSources is how many sources of requests an event names: with IPv6 addresses each
// takes some 65 of the bytes that an event may have.
const namedSources = 8

// sourcesOf says for how many requests a key was used, and where the most came from.
func sourcesOf(sources []usage.Source) (requests int64, from string) {
	unnamed := int64(0)
	for i, source := range sources {
		requests += source.Requests
		if source.Gateway == "" || i >= namedSources {
			unnamed += source.Requests
			continue
		}
		from += fmt.Sprintf("%d by %s from %s, ", source.Requests, source.Endpoint, source.Gateway)
	}
	if unnamed > 0 {
		from += fmt.Sprintf("%d from elsewhere, ", unnamed)
	}
	return requests, from
}

// observeSecrets finds out what the cache has in the places of the Secrets.
func (l *look) observeSecrets(ctx context.Context) error {
	key := l.facts.Key
	secret, err := l.cachedSecret(ctx, key.SecretName())
	if err != nil {
		return err
	}
	l.facts.Secret = lifecycle.Place{Secret: secret}
	if len(key.Status.Versions) < 2 && secret == nil {
		return nil
	}
	previous, err := l.cachedSecret(ctx, key.SecretName()+v1alpha1.PreviousSuffix)
	l.facts.Previous = lifecycle.Place{Secret: previous}
	return err
}

func (l *look) cachedSecret(ctx context.Context, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	// Without waiting for our own writes: a Secret that loses our label on its way into etcd
	// never comes into this cache.
	err := l.Get(ctx, client.ObjectKey{Namespace: l.facts.Key.Namespace, Name: name}, secret, client.DisableReadYourWritesConsistency)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("get secret: %w", err)
	}
	return secret, nil
}
