// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/hack/stack"
	"github.com/hexcovery/apikey-operator/test/faults/oracle"
)

// rotate has a key be replaced, both work for a while, and the one that was replaced
// be retired until that is reported as complete. The old key is valid until its end is
// asked for, and the new one from when it is in the Secret.
func (w *world) rotate(ctx context.Context, s *subject, overlap time.Duration) error {
	before := s.last().key.Status.KeyID
	number := fmt.Sprint(w.rotated.Add(1))
	after := stack.RotateAfter(s.last().key).UTC().Format(time.RFC3339)
	generation, err := w.order(ctx, s, `{"spec":{"rotation":{"rotateAfter":%q}}}`, after)
	if err != nil {
		return fmt.Errorf("rotate %s: %w", s.Name, err)
	}
	_, err = s.await(ctx, func(seen sighting) bool {
		return ready(generation)(seen) && seen.key.Status.KeyID != before && stateOf(seen, before) == v1alpha1.VersionRetiring
	})
	if err != nil {
		return fmt.Errorf("wait until %s is replaced: %w: %s", s.Name, err, w.describe(s))
	}
	successor := w.ring.succeed(s.apiKey+"."+number, s.owner)
	if err := w.take(ctx, successor); err != nil {
		return err
	}
	if err := wait(ctx, overlap); err != nil {
		return fmt.Errorf("have both keys of %s work: %w", s.apiKey, err)
	}

	s.Mark(oracle.Uncertain)
	if _, err = w.order(ctx, s, `{"spec":{"revokedKeyIDs":[%q]}}`, before); err != nil {
		return fmt.Errorf("retire %s: %w", s.Name, err)
	}
	at, err := s.await(ctx, func(seen sighting) bool { return seen.key != nil && !seen.gone && stateOf(seen, before) == "" })
	if err != nil {
		return fmt.Errorf("wait until %s is retired: %w: %s", s.Name, err, w.describe(s))
	}
	s.MarkAt(at, oracle.Dead)
	w.retired.Add(1)
	return nil
}

// order changes the spec, and returns the generation that this makes.
func (w *world) order(ctx context.Context, s *subject, change string, value any) (int64, error) {
	key := &v1alpha1.APIKey{}
	key.Namespace, key.Name = namespace, s.apiKey
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, change, value))
	err := try(ctx, func(ctx context.Context) error { return w.admin.Patch(ctx, key, patch) })
	return key.Generation, err
}

// stateOf is the state of the version of that ID, or "" if there is none.
func stateOf(seen sighting, id string) v1alpha1.VersionState {
	versions := seen.key.Status.Versions
	i := slices.IndexFunc(versions, func(v v1alpha1.KeyVersion) bool { return v.ID == id })
	if i < 0 {
		return ""
	}
	return versions[i].State
}
