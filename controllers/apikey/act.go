// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
	"github.com/hexcovery/apikey-operator/internal/refusal"
)

// take makes the one write of a Plan, and has the facts say what has come of it.
func (l *look) take(ctx context.Context, plan *lifecycle.Plan) error {
	switch plan.Step {
	case lifecycle.StepNone:
	case lifecycle.StepFinalizer:
		return l.addFinalizer(ctx)
	case lifecycle.StepStatus:
		return l.writeStatus(ctx, &plan.Status)
	case lifecycle.StepSecret:
		return l.writeSecret(ctx, &plan.Secret)
	case lifecycle.StepRemove:
		return l.removeSecrets(ctx)
	case lifecycle.StepRelease:
		return l.release(ctx)
	}
	return nil
}

// patch writes what key differs in from l.facts.Key, on condition that nobody else has
// written meanwhile, and has the facts say so.
func (l *look) patch(key *v1alpha1.APIKey, write func(client.Patch) error) error {
	before := l.facts.Key
	if err := write(client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		if l.Unwritten.Failed(before.UID, err) {
			l.Events.NotWritten(before, err)
		}
		return err
	}
	// The answer has what is stored, as no cache has trimmed it.
	key.Trimmed = false
	l.facts.Key = key
	return nil
}

// addFinalizer is the first write of all.
func (l *look) addFinalizer(ctx context.Context) error {
	key := l.facts.Key.DeepCopy()
	controllerutil.AddFinalizer(key, v1alpha1.Finalizer)
	if err := l.patch(key, func(p client.Patch) error { return l.Patch(ctx, key, p) }); err != nil {
		return l.unwritable(ctx, fmt.Errorf("add finalizer: %w", err))
	}
	return nil
}

// unwritable has the status say that the API server refuses a write of the finalizer, and
// returns any other error.
func (l *look) unwritable(ctx context.Context, err error) error {
	by, refused := refusal.Of(err)
	if !refused {
		return err
	}
	l.facts.Unwritable = &lifecycle.Refusal{By: by}
	log.FromContext(ctx).V(1).Info("write refused", "by", by)
	return nil
}

// writeStatus writes the status, and tells what has happened by that.
func (l *look) writeStatus(ctx context.Context, status *v1alpha1.APIKeyStatus) error {
	transitions := lifecycle.Transitions(&l.facts, status)
	l.emitEarly(ctx, transitions)
	key := l.facts.Key.DeepCopy()
	key.Status = *status
	book := l.Gatherer.Book()
	book.Observe(l.facts.Key)
	book.Fill(key)
	minted := l.facts.Fresh
	l.noteGivenUp(status)
	if err := l.patch(key, func(p client.Patch) error { return l.Status().Patch(ctx, key, p) }); err != nil {
		if minted != nil {
			l.Escrow.Drop(key.UID)
		}
		return fmt.Errorf("write status: %w", err)
	}
	l.Unwritten.Forget(key.UID)
	if minted != nil {
		l.facts.Minted, l.facts.Fresh, l.facts.Senior = minted.KeyID(), nil, false
	}
	l.dropPublished()
	l.emit(ctx, transitions)
	return nil
}

// dropPublished forgets the key that was minted when it is not on its way any more.
func (l *look) dropPublished() {
	pending := lifecycle.MintedIn(&l.facts.Key.Status, v1alpha1.VersionPending)
	if l.facts.Minted != "" && (pending == nil || pending.ID != l.facts.Minted) {
		l.Escrow.Drop(l.facts.Key.UID)
		l.facts.Minted = ""
	}
}

// noteGivenUp remembers that a key is given up because of a mark in the Secret.
func (l *look) noteGivenUp(status *v1alpha1.APIKeyStatus) {
	secret := l.facts.Secret.Secret
	if secret == nil || l.facts.Minted == "" || secret.Annotations[v1alpha1.AnnotationAbandonedKeyID] != l.facts.Minted {
		return
	}
	for i := range status.Versions {
		if v := &status.Versions[i]; v.ID == l.facts.Minted && v.RevocationReason == v1alpha1.RevokedAbandoned {
			l.facts.Repairs = l.remember(l.facts.Key.UID, func(m *memory) {
				m.repairs.GivenUp, m.repairs.GaveUp = lifecycle.Another(m.repairs.GivenUp, m.repairs.GaveUp, l.facts.Now), l.facts.Now
			}).repairs
		}
	}
}

// account writes what keys were used for, where that is due and nothing else was written.
func (l *look) account(ctx context.Context) error {
	key := l.facts.Key
	book := l.Gatherer.Book()
	book.Observe(key)
	if !key.StatusIsOwn() || !book.Due(key, l.facts.Now) {
		return nil
	}
	written := key.DeepCopy()
	book.Fill(written)
	if err := l.patch(written, func(p client.Patch) error { return l.Status().Patch(ctx, written, p) }); err != nil {
		return fmt.Errorf("write usage: %w", err)
	}
	return nil
}

// removeSecrets deletes the Secrets of an APIKey that is being deleted.
func (l *look) removeSecrets(ctx context.Context) error {
	for _, name := range []string{l.facts.Key.SecretName(), l.facts.Key.SecretName() + v1alpha1.PreviousSuffix} {
		err := l.deleteSecret(ctx, name)
		if by, refused := refusal.Of(err); refused {
			l.facts.Refusal = &lifecycle.Refusal{By: by}
			return nil
		}
		if err != nil {
			return fmt.Errorf("delete secret: %w", refusal.Quiet(err))
		}
	}
	l.facts.Removed = true
	l.remember(l.facts.Key.UID, func(m *memory) { m.removed = true })
	return nil
}

// release lets the APIKey go.
func (l *look) release(ctx context.Context) error {
	key := l.facts.Key
	// Before the APIKey goes: afterwards nobody would be there to repeat a line that was
	// lost with this process.
	l.emitEarly(ctx, lifecycle.Endings(key))
	// Before the write: the watch may show its effect before its answer comes.
	l.remember(key.UID, func(m *memory) { m.released = true })
	released := key.DeepCopy()
	controllerutil.RemoveFinalizer(released, v1alpha1.Finalizer)
	err := l.patch(released, func(p client.Patch) error { return l.Patch(ctx, released, p) })
	if client.IgnoreNotFound(err) != nil {
		l.remember(key.UID, func(m *memory) { m.released = false })
		return l.unwritable(ctx, fmt.Errorf("remove finalizer: %w", err))
	}
	// Where it was not found, an earlier look has done it, whose answer was lost.
	l.facts.Released = true
	l.Escrow.Drop(key.UID)
	return nil
}

// claim reserves a hash for the APIKey until the end of the look, if nobody else has it.
func (l *look) claim(ctx context.Context, digest keys.Digest) error {
	l.facts.Claims[digest.String()] = false
	if _, taken := l.claims.LoadOrStore(digest, l.facts.Key.UID); taken {
		// Two began to list it at once; who was first has it, or is refused as well.
		return nil
	}
	l.claimed = append(l.claimed, digest)
	// With every write that was made before: whoever had it reserved has written.
	rivals, err := l.rivals(ctx, digest.String())
	if err != nil {
		return err
	}
	l.facts.Claims[digest.String()] = len(rivals) == 0
	if len(rivals) > 0 {
		l.facts.Rivals[digest.String()] = rivals
	}
	return nil
}

// free has others take the hashes that were reserved.
func (l *look) free() {
	for _, digest := range l.claimed {
		l.claims.Delete(digest)
	}
}
