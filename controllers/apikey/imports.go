// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
)

// keyIDLength is how many digits of a hash are its key ID.
const keyIDLength = 12

// observeRivals finds out who else has hashes of this APIKey, as the cache shows it: many
// who want a key that somebody has do not contend for it.
func (l *look) observeRivals(ctx context.Context) (err error) {
	key := l.facts.Key
	l.facts.Rivals = map[string][]lifecycle.Rival{}
	for _, wanted := range key.Spec.ImportedKeys {
		if len(wanted.SHA256) < keyIDLength {
			continue
		}
		rivals, err := l.rivals(ctx, wanted.SHA256, client.DisableReadYourWritesConsistency)
		if err != nil {
			return err
		}
		if len(rivals) > 0 {
			l.facts.Rivals[wanted.SHA256] = rivals
		}
	}
	l.facts.Senior, err = l.senior(ctx)
	return err
}

// rivals returns the other APIKeys that have a hash, whatever they have it as, or one with
// the same key ID: it is what people and audit trails know a key by, and a hash can be
// made up to look like one.
func (l *look) rivals(ctx context.Context, hash string, options ...client.ListOption) ([]lifecycle.Rival, error) {
	list := &v1alpha1.APIKeyList{}
	options = append(options, client.MatchingFields{indexKeyID: hash[:keyIDLength]}, client.UnsafeDisableDeepCopy)
	if err := l.List(ctx, list, options...); err != nil {
		return nil, fmt.Errorf("list APIKeys with the same key ID: %w", err)
	}
	var rivals []lifecycle.Rival
	for i := range list.Items {
		if other := &list.Items[i]; other.UID != l.facts.Key.UID {
			rivals = append(rivals, lifecycle.Rival{
				Namespace: other.Namespace, Name: other.Name, Same: hashesOf(other).Has(hash), Senior: other.OlderThan(l.facts.Key),
			})
		}
	}
	return rivals, nil
}

// senior reports whether an older APIKey has the hash of the current key. It takes a status
// that was copied, as some restores do; the younger gives way.
func (l *look) senior(ctx context.Context) (bool, error) {
	key := l.facts.Key
	v := lifecycle.MintedIn(&key.Status, v1alpha1.VersionPending)
	if v == nil {
		v = lifecycle.MintedIn(&key.Status, v1alpha1.VersionActive)
	}
	if v == nil || !key.StatusIsOwn() {
		return false, nil
	}
	list := &v1alpha1.APIKeyList{}
	// Without waiting for other writes: a copy is as old as the APIKey that bears it.
	if err := l.List(ctx, list, client.MatchingFields{indexDigest: v.SHA256}, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		return false, fmt.Errorf("list APIKeys with the same hash: %w", err)
	}
	for i := range list.Items {
		if other := &list.Items[i]; other.UID != key.UID && other.OlderThan(key) {
			return true, nil
		}
	}
	return false, nil
}

// hashesOf returns the hashes that are an APIKey's: those of its versions, and those that
// it has registered and still lists, be they retired.
func hashesOf(obj client.Object) sets.Set[string] {
	hashes := sets.New[string]()
	key, ok := obj.(*v1alpha1.APIKey)
	if !ok || !key.StatusIsOwn() {
		// What was copied gives nobody a claim.
		return hashes
	}
	for i := range key.Status.Versions {
		hashes.Insert(key.Status.Versions[i].SHA256)
	}
	return hashes.Insert(key.Status.Imports...)
}
