// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
)

// observeRivals finds out who else has hashes of this APIKey, as the cache shows it: many
// who want a key that somebody has do not contend for it.
func (l *look) observeRivals(ctx context.Context) error {
	key := l.facts.Key
	l.facts.Rivals = map[string][]lifecycle.Rival{}
	for _, wanted := range key.Spec.ImportedKeys {
		rivals, err := l.rivals(ctx, wanted.SHA256, client.DisableReadYourWritesConsistency)
		if err != nil {
			return err
		}
		if len(rivals) > 0 {
			l.facts.Rivals[wanted.SHA256] = rivals
		}
	}
	v := lifecycle.MintedIn(&key.Status, v1alpha1.VersionPending)
	if v == nil {
		v = lifecycle.MintedIn(&key.Status, v1alpha1.VersionActive)
	}
	if v == nil || !key.StatusIsOwn() {
		return nil
	}
	// It takes a status that was copied, as some restores do; the younger gives way. A copy is
	// as old as the APIKey that bears it, so this waits for no other writes, either.
	rivals, err := l.rivals(ctx, v.SHA256, client.DisableReadYourWritesConsistency)
	l.facts.Senior = slices.ContainsFunc(rivals, func(r lifecycle.Rival) bool { return r.Same && r.Senior })
	return err
}

// rivals returns the other APIKeys that have a hash, whatever they have it as, or one with
// the same key ID: it is what people and audit trails know a key by, and a hash can be
// made up to look like one.
func (l *look) rivals(ctx context.Context, hash string, options ...client.ListOption) (rivals []lifecycle.Rival, err error) {
	digest, err := keys.ParseDigest(hash)
	if err != nil {
		return nil, nil //nolint:nilerr // it is nobody's, and lifecycle says what it is
	}
	list := &v1alpha1.APIKeyList{}
	options = append(options, client.MatchingFields{indexKeyID: digest.KeyID()}, client.UnsafeDisableDeepCopy)
	if err := l.List(ctx, list, options...); err != nil {
		return nil, fmt.Errorf("list APIKeys with the same key ID: %w", err)
	}
	for i := range list.Items {
		if other := &list.Items[i]; other.UID != l.facts.Key.UID {
			rivals = append(rivals, lifecycle.Rival{
				Namespace: other.Namespace, Name: other.Name, Same: hashesOf(other).Has(hash), Senior: other.OlderThan(l.facts.Key),
			})
		}
	}
	return rivals, nil
}

// hashesOf returns the hashes that are an APIKey's: those of its versions, and those that
// it has registered and still lists, be they retired. What was copied gives nobody a claim.
func hashesOf(obj client.Object) sets.Set[string] {
	hashes := sets.New[string]()
	if key, ok := obj.(*v1alpha1.APIKey); ok && key.StatusIsOwn() {
		for i := range key.Status.Versions {
			hashes.Insert(key.Status.Versions[i].SHA256)
		}
		hashes.Insert(key.Status.Imports...)
	}
	return hashes
}

// claim reserves a hash for the APIKey until the end of the look, if nobody else has it.
func (l *look) claim(ctx context.Context, digest keys.Digest) error {
	hash := digest.String()
	l.facts.Claims[hash] = false
	if _, taken := l.claims.LoadOrStore(digest, l.facts.Key.UID); taken {
		// Two began to list it at once; who was first has it, or is refused as well.
		return nil
	}
	l.claimed = append(l.claimed, digest)
	// With every write that was made before: whoever had it reserved has written.
	rivals, err := l.rivals(ctx, hash)
	if len(rivals) > 0 {
		l.facts.Rivals[hash] = rivals
	}
	l.facts.Claims[hash] = err == nil && len(rivals) == 0
	return err
}

// free has others take the hashes that were reserved.
func (l *look) free() {
	for _, digest := range l.claimed {
		l.claims.Delete(digest)
	}
}
