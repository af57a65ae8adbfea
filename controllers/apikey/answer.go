// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

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
