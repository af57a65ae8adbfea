// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
	"github.com/hexcovery/apikey-operator/internal/permission"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

// observe fills in what the caches say, each read once.
func (l *look) observe(ctx context.Context, key *v1alpha1.APIKey) error {
	m := l.recall(key.UID)
	l.told = m.told
	l.facts = lifecycle.Facts{
		Now: l.Clock.Now(), Key: key, Repairs: m.repairs, Removed: m.removed, Released: m.released,
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
	return l.observeSecrets(ctx, false)
}

// observePermission finds out what reader has of the Organization and of the namespace.
func (l *look) observePermission(ctx context.Context, reader client.Reader) error {
	namespace := metadataOf("Namespace")
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
	elder, err := Elder(ctx, l.Client, organization)
	if err != nil {
		return err
	}
	if elder != "" {
		organization.Refusal = v1alpha1.ReasonDuplicateID
	}
	permitted, err := permission.Of(&organization.Spec.Namespaces)
	l.facts.Namespace.Permitted, l.facts.Namespace.Unreadable = permitted.Permit(namespace.Labels), err != nil
	return nil
}

// metadataOf returns an object of a core kind of which only the metadata is read.
func metadataOf(kind string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: kind}}
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
	l.facts.Coverage = lifecycle.Coverage(l.Usage.Coverage())
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
	l.facts.Rollout = l.Rollout(key)
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

// answer finds out what a decision has asked for.
func (l *look) answer(ctx context.Context, q *lifecycle.Questions) error {
	var errs []error
	if q.Permission {
		l.facts.Confirmed = true
		errs = append(errs, l.observePermission(ctx, l.Live))
	}
	if q.Spec {
		errs = append(errs, l.completeSpec(ctx))
	}
	if q.Secrets {
		errs = append(errs, l.observeSecrets(ctx, true))
	}
	if q.Superseded {
		errs = append(errs, l.askSuperseded(ctx))
	}
	if q.Digest {
		errs = append(errs, l.mint())
	}
	for _, digest := range q.Claims {
		errs = append(errs, l.claim(ctx, digest))
	}
	for _, purpose := range q.Acks {
		errs = append(errs, l.ask(ctx, purpose))
	}
	return errors.Join(errs...)
}

// completeSpec reads what the cache has left out of an APIKey that was not permitted yet.
func (l *look) completeSpec(ctx context.Context) error {
	key, live := l.facts.Key, &v1alpha1.APIKey{}
	if err := l.Live.Get(ctx, client.ObjectKeyFromObject(key), live); err != nil {
		return fmt.Errorf("get APIKey: %w", err)
	}
	if live.UID != key.UID || live.Generation != key.Generation {
		// The cache is about to show it.
		resource := v1alpha1.GroupVersion.WithResource("apikeys").GroupResource()
		return apierrors.NewConflict(resource, live.Name, errors.New("it has changed"))
	}
	key.Spec.Secret, key.Trimmed = live.Spec.Secret, false
	return nil
}

// askSuperseded finds out whether another manager has given up the first key of an APIKey.
func (l *look) askSuperseded(ctx context.Context) error {
	present := &v1alpha1.APIKey{}
	if err := l.Live.Get(ctx, client.ObjectKeyFromObject(l.facts.Key), present); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("get APIKey: %w", err)
	}
	pending := lifecycle.MintedIn(&present.Status, v1alpha1.VersionPending)
	l.facts.Superseded = ptr.To(pending == nil || pending.ID != l.facts.Minted)
	return nil
}

// mint makes a new key. It is kept before its hash is written, so that none is written whose
// key has no place.
func (l *look) mint() error {
	plaintext, err := keys.Mint()
	if err != nil {
		return fmt.Errorf("mint: %w", err)
	}
	if err := l.Escrow.Put(l.facts.Key.UID, plaintext); err != nil {
		return fmt.Errorf("keep the key until it is acknowledged: %w", err)
	}
	digest := plaintext.Digest()
	l.facts.Fresh = &digest
	l.hold(digest.KeyID(), plaintext)
	return nil
}

// ask finds out who is still waited for. The wait begins with the revision that the APIKey
// has when it is first asked for.
func (l *look) ask(ctx context.Context, purpose lifecycle.Purpose) error {
	wait := l.Waiters.Wait(client.ObjectKeyFromObject(l.facts.Key), nameOf(purpose), l.facts.Key.ResourceVersion)
	ack := lifecycle.Ack{Again: registry.Patience, Slow: l.facts.Now.Sub(wait.Since) >= registry.Patience}
	if wait.Worthwhile {
		var found registry.Acknowledgement
		var err error
		if purpose.Kind == lifecycle.Register {
			found, err = l.Members.Registration(ctx, wait, l.terms)
			ack.None = found.Of == 0
		} else {
			found, err = l.Members.Revocation(ctx, wait)
		}
		if err != nil {
			return err
		}
		ack.Complete = found.Complete() && !ack.None
		ack.Missing, ack.Of, ack.Names = len(found.Missing), found.Of, registry.Describe(found.Missing)
		if found.Again > 0 {
			ack.Again = found.Again
		}
	}
	l.facts.Acks[purpose] = ack
	return nil
}
