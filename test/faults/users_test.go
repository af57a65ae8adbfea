// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/test/faults/oracle"
)

const (
	namespace    = "faults"
	organization = "faults"
	// tryAgain is how long a user waits after an error, and tryFor how long for an
	// answer: the API server may be gone, or frozen.
	tryAgain = 50 * time.Millisecond
	tryFor   = 2 * time.Second
)

// try repeats what a user wants of the API server until it is done.
func try(ctx context.Context, what func(context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, tryFor)
		err := what(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %w", context.Cause(ctx), err)
		case <-time.After(tryAgain):
		}
	}
}

// mint makes a key, and returns it when it is ready and its Secret was read.
func (w *world) mint(ctx context.Context, changes ...func(*v1alpha1.APIKey)) (*subject, error) {
	name := fmt.Sprintf("k%05d", w.minted.Add(1))
	s := w.ring.add(name)
	err := try(ctx, func(ctx context.Context) error {
		key := &v1alpha1.APIKey{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       v1alpha1.APIKeySpec{OrganizationRef: v1alpha1.OrganizationReference{Name: organization}},
		}
		for _, change := range changes {
			change(key)
		}
		err := w.admin.Create(ctx, key)
		// An earlier attempt may have succeeded without an answer.
		return client.IgnoreAlreadyExists(err)
	})
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	if _, err := s.await(ctx, ready(0)); err != nil {
		return nil, fmt.Errorf("wait until %s is ready: %w: %s", name, err, w.describe(s))
	}
	return s, w.take(ctx, s)
}

// take reads a key from its Secret, and has auth servers asked about it from then on.
func (w *world) take(ctx context.Context, s *subject) error {
	secret := &corev1.Secret{}
	err := try(ctx, func(ctx context.Context) error {
		return w.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: s.apiKey}, secret)
	})
	if err != nil {
		return fmt.Errorf("read the Secret of %s: %w", s.Name, err)
	}
	request := requestFor(secret.Data[v1alpha1.SecretKeyAPIKey])
	s.request.Store(&request)
	s.Mark(oracle.Valid)
	w.ring.refresh()
	return nil
}

// remove deletes a key, and returns when it is gone.
func (w *world) remove(ctx context.Context, s *subject) error {
	s.Mark(oracle.Uncertain)
	err := try(ctx, func(ctx context.Context) error {
		key := &v1alpha1.APIKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: s.apiKey}}
		return client.IgnoreNotFound(w.admin.Delete(ctx, key))
	})
	if err != nil {
		return fmt.Errorf("delete %s: %w", s.Name, err)
	}
	at, err := s.await(ctx, func(seen sighting) bool { return seen.gone })
	if err != nil {
		return fmt.Errorf("wait until %s is gone: %w: %s", s.Name, err, w.describe(s))
	}
	s.MarkAt(at, oracle.Dead)
	w.removed.Add(1)
	return nil
}

// suspend suspends a key until that is reported as complete, and for a while.
func (w *world) suspend(ctx context.Context, s *subject, lasts time.Duration) error {
	s.Mark(oracle.Uncertain)
	generation, err := w.setSuspended(ctx, s, true)
	if err != nil {
		return fmt.Errorf("suspend %s: %w", s.Name, err)
	}
	at, err := s.await(ctx, revoked(generation))
	if err != nil {
		return fmt.Errorf("wait until %s is suspended: %w: %s", s.Name, err, w.describe(s))
	}
	s.MarkAt(at, oracle.Dead)
	w.suspended.Add(1)
	if err := wait(ctx, lasts); err != nil {
		return fmt.Errorf("keep %s suspended: %w", s.Name, err)
	}
	s.Mark(oracle.Uncertain)
	if generation, err = w.setSuspended(ctx, s, false); err != nil {
		return fmt.Errorf("resume %s: %w", s.Name, err)
	}
	if at, err = s.await(ctx, ready(generation)); err != nil {
		return fmt.Errorf("wait until %s is resumed: %w: %s", s.Name, err, w.describe(s))
	}
	s.MarkAt(at, oracle.Valid)
	return nil
}

// setSuspended writes spec.suspend, and returns the generation that this makes.
func (w *world) setSuspended(ctx context.Context, s *subject, suspended bool) (int64, error) {
	key := &v1alpha1.APIKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: s.apiKey}}
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"suspend":%t}}`, suspended))
	err := try(ctx, func(ctx context.Context) error { return w.admin.Patch(ctx, key, patch) })
	return key.Generation, err
}

// ready is an APIKey that was reported as ready and working in a generation.
func ready(generation int64) func(sighting) bool {
	return func(seen sighting) bool {
		return says(seen, v1alpha1.ConditionReady, metav1.ConditionTrue, generation) && says(seen, v1alpha1.ConditionServing, metav1.ConditionTrue, generation)
	}
}

// revoked is one whose suspension was reported as complete, in whichever way comes first.
func revoked(generation int64) func(sighting) bool {
	return func(seen sighting) bool {
		if says(seen, v1alpha1.ConditionServing, metav1.ConditionFalse, generation) || says(seen, v1alpha1.ConditionReady, metav1.ConditionTrue, generation) {
			return true
		}
		return seen.key != nil && !seen.gone && seen.key.Status.Acceptance == v1alpha1.AcceptanceWithdrawn && seen.key.Status.AppliedGeneration >= generation
	}
}

// says reports whether an APIKey has a condition with this status, of a generation.
func says(seen sighting, conditionType string, status metav1.ConditionStatus, generation int64) bool {
	if seen.key == nil || seen.gone {
		return false
	}
	c := meta.FindStatusCondition(seen.key.Status.Conditions, conditionType)
	return c != nil && c.Status == status && c.ObservedGeneration >= generation
}

// describe says how an APIKey stands, for a message about one that is stuck.
func (w *world) describe(s *subject) string {
	key := &v1alpha1.APIKey{}
	ctx, cancel := context.WithTimeout(context.Background(), tryFor)
	defer cancel()
	if err := w.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: s.apiKey}, key); err != nil {
		if apierrors.IsNotFound(err) {
			return "it is gone"
		}
		return err.Error()
	}
	text := fmt.Sprintf("generation %d, deleted %v, %s, applied generation %d", key.Generation, key.DeletionTimestamp, key.Status.Acceptance, key.Status.AppliedGeneration)
	for _, v := range key.Status.Versions {
		text += fmt.Sprintf("; key %s is %s (%s%s)", v.ID, v.State, v.MintReason, v.RevocationReason)
	}
	for _, c := range key.Status.Conditions {
		text += fmt.Sprintf("; %s=%s %s (%d): %s", c.Type, c.Status, c.Reason, c.ObservedGeneration, c.Message)
	}
	return text
}

// wait waits for a duration of the plan.
func wait(ctx context.Context, lasts time.Duration) error {
	select {
	case <-time.After(lasts):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
