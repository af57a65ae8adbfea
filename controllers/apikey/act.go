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

// patch makes a change of the APIKey, or of its status, on condition that nobody else has
// written meanwhile, and has the facts say so.
func (l *look) patch(ctx context.Context, status bool, change func(*v1alpha1.APIKey)) (err error) {
	before, key := l.facts.Key, l.facts.Key.DeepCopy()
	change(key)
	difference := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if status {
		err = l.Status().Patch(ctx, key, difference)
	} else {
		err = l.Patch(ctx, key, difference)
	}
	if err != nil {
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
	err := l.patch(ctx, false, func(key *v1alpha1.APIKey) { controllerutil.AddFinalizer(key, v1alpha1.Finalizer) })
	return l.unwritable(ctx, "add finalizer", err)
}

// unwritable has the status say that the API server refuses a write of the finalizer, and
// returns any other error.
func (l *look) unwritable(ctx context.Context, what string, err error) error {
	by, refused := refusal.Of(err)
	switch {
	case refused:
		l.facts.Unwritable = by
		log.FromContext(ctx).V(1).Info("write refused", "by", by)
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// writeStatus writes the status, and tells what has happened by that.
func (l *look) writeStatus(ctx context.Context, status *v1alpha1.APIKeyStatus) error {
	transitions := lifecycle.Transitions(&l.facts, status)
	l.emitEarly(ctx, transitions)
	book, minted, uid := l.Gatherer.Book(), l.facts.Fresh, l.facts.Key.UID
	book.Observe(l.facts.Key)
	l.noteGivenUp(status)
	if err := l.patch(ctx, true, func(key *v1alpha1.APIKey) { key.Status = *status; book.Fill(key) }); err != nil {
		if minted != nil {
			l.Escrow.Drop(uid)
		}
		return fmt.Errorf("write status: %w", err)
	}
	l.Unwritten.Forget(uid)
	if minted != nil {
		l.facts.Minted, l.facts.Fresh, l.facts.Senior = minted.KeyID(), nil, false
	}
	pending := lifecycle.MintedIn(&l.facts.Key.Status, v1alpha1.VersionPending)
	if l.facts.Minted != "" && (pending == nil || pending.ID != l.facts.Minted) {
		// It is not on its way any more.
		l.Escrow.Drop(uid)
		l.facts.Minted = ""
	}
	l.emit(ctx, transitions)
	return nil
}

// noteGivenUp remembers that a key is given up because of a mark in the Secret.
func (l *look) noteGivenUp(status *v1alpha1.APIKeyStatus) {
	secret, repairs := l.facts.Secret.Secret, &l.facts.Repairs
	if secret == nil || l.facts.Minted == "" || secret.Annotations[v1alpha1.AnnotationAbandonedKeyID] != l.facts.Minted {
		return
	}
	for i := range status.Versions {
		if v := &status.Versions[i]; v.ID == l.facts.Minted && v.RevocationReason == v1alpha1.RevokedAbandoned {
			repairs.GivenUp, repairs.GaveUp = lifecycle.Another(repairs.GivenUp, repairs.GaveUp, l.facts.Now), l.facts.Now
			l.remember()
		}
	}
}

// account writes what keys were used for, where that is due and nothing else was written.
func (l *look) account(ctx context.Context) error {
	book := l.Gatherer.Book()
	book.Observe(l.facts.Key)
	if !l.facts.Key.StatusIsOwn() || !book.Due(l.facts.Key, l.facts.Now) {
		return nil
	}
	if err := l.patch(ctx, true, book.Fill); err != nil {
		return fmt.Errorf("write usage: %w", err)
	}
	return nil
}

// release lets the APIKey go.
func (l *look) release(ctx context.Context) error {
	// Before the APIKey goes: afterwards nobody would be there to repeat a line that was
	// lost with this process.
	l.emitEarly(ctx, lifecycle.Endings(l.facts.Key))
	// Before the write: the watch may show its effect before its answer comes. The cache may
	// show the APIKey even after it, when the end of its Secret has it looked at once more.
	l.facts.Released = true
	l.remember()
	err := l.patch(ctx, false, func(key *v1alpha1.APIKey) { controllerutil.RemoveFinalizer(key, v1alpha1.Finalizer) })
	if client.IgnoreNotFound(err) != nil {
		l.facts.Released = false
		l.remember()
		return l.unwritable(ctx, "remove finalizer", err)
	}
	// Where it was not found, an earlier look has done it, whose answer was lost.
	l.Escrow.Drop(l.facts.Key.UID)
	return nil
}
