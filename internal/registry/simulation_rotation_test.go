// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// The simulated manager brings each version through the states that controllers does:
//
//	Pending ──► Active ──► Retiring ──► Revoked ──► gone
//	               └── undo ───┘

const (
	// simMostVersions is how many versions an APIKey has at most before no more are made.
	simMostVersions = 5
	// simMostRetiring is how many that were replaced work at most: the manager ends others
	// by itself, as one that nobody uses any more.
	simMostRetiring = 1
)

// turn acts on what the spec asks for.
func (m *simManager) turn(ctx context.Context, key *v1alpha1.APIKey) error {
	undone := simPin(key)
	for i := range key.Status.Versions {
		if v := &key.Status.Versions[i]; v.State.Accepted() && slices.Contains(key.Spec.RevokedKeyIDs, v.ID) {
			v.State = v1alpha1.VersionRevoked
		}
	}
	for i := range key.Status.Versions {
		if v := &key.Status.Versions[i]; v.State == v1alpha1.VersionRetiring && simRetiring(key) > simMostRetiring {
			v.State = v1alpha1.VersionRevoked
		}
	}
	if simDue(key) && len(key.Status.Versions) < simMostVersions {
		key.Status.Versions = append(key.Status.Versions, simVersion(key.Name+"."+key.ResourceVersion))
	}
	err := m.link.Update(ctx, key)
	if err == nil && undone {
		m.world.count(func(s *simStats) { s.undone++ })
	}
	return err
}

// simRetiring is how many keys that were replaced still work.
func simRetiring(key *v1alpha1.APIKey) (count int) {
	for i := range key.Status.Versions {
		if key.Status.Versions[i].State == v1alpha1.VersionRetiring {
			count++
		}
	}
	return count
}

// simPin has the key that is pinned change places with the current one.
func simPin(key *v1alpha1.APIKey) (undone bool) {
	versions, pinned := key.Status.Versions, key.Spec.ActiveKeyID
	current := slices.IndexFunc(versions, func(v v1alpha1.KeyVersion) bool { return v.State == v1alpha1.VersionActive })
	for i := range versions {
		if versions[i].ID == pinned && versions[i].State == v1alpha1.VersionRetiring && current >= 0 {
			versions[i].State, versions[current].State = v1alpha1.VersionActive, v1alpha1.VersionRetiring
			return true
		}
	}
	return false
}

// simDue reports whether another key is to be minted: none works, or the one that does was
// registered before spec.rotation.rotateAfter.
func simDue(key *v1alpha1.APIKey) bool {
	due := true
	for i := range key.Status.Versions {
		switch v := &key.Status.Versions[i]; v.State {
		case v1alpha1.VersionPending:
			return false
		case v1alpha1.VersionActive:
			due = key.Spec.ActiveKeyID == "" && key.Spec.Rotation.RotateAfter != nil && v.RegistrationTime.Before(key.Spec.Rotation.RotateAfter)
		case v1alpha1.VersionRetiring, v1alpha1.VersionRevoked:
		}
	}
	return due
}

// register is what acknowledge.go and publish.go do of a new key.
func (m *simManager) register(ctx context.Context, name types.NamespacedName, key *v1alpha1.APIKey) (time.Duration, error) {
	pending := slices.IndexFunc(key.Status.Versions, func(v v1alpha1.KeyVersion) bool { return v.State == v1alpha1.VersionPending })
	version := &key.Status.Versions[pending]
	wait := m.waiters.Wait(name, "register "+version.ID, key.ResourceVersion)
	if !wait.Worthwhile {
		return Patience, nil
	}
	found, err := m.members.Registration(ctx, wait, Terms{Organization: m.world.organization().ResourceVersion, Namespace: m.world.namespace(key.Namespace).ResourceVersion})
	if err != nil {
		return 0, err
	}
	if found.Of == 0 || !found.Complete() {
		m.say("%s is not registered: %d of %d are missing: %s", version.ID, len(found.Missing), found.Of, simMissing(found))
		return Patience, nil
	}
	m.waiters.Done(name)
	m.world.published(m, version.ID)
	for i := range key.Status.Versions {
		if v := &key.Status.Versions[i]; v.State == v1alpha1.VersionActive {
			v.State = v1alpha1.VersionRetiring
			m.world.count(func(s *simStats) { s.replaced++ })
		}
	}
	version.State = v1alpha1.VersionActive
	return 0, m.link.Update(ctx, key)
}

// withdraw stops an APIKey that is not permitted.
func (m *simManager) withdraw(ctx context.Context, key *v1alpha1.APIKey) (time.Duration, error) {
	if key.Status.Acceptance != v1alpha1.AcceptanceWithdrawn {
		key.Status.Acceptance, key.Status.AppliedGeneration = v1alpha1.AcceptanceWithdrawn, 0
		return 0, m.link.Update(ctx, key)
	}
	again, _, err := m.apply(ctx, key, func() {
		for i := range key.Status.Versions {
			if m.world.revoked(m, key.Status.Versions[i].ID) {
				m.world.count(func(s *simStats) { s.withdrawn++ })
			}
		}
	})
	return again, err
}

// enforce finds out whether every auth server applies the spec: then none accepts a key that
// it revokes, whatever has become of the version.
func (m *simManager) enforce(ctx context.Context, key *v1alpha1.APIKey) (again time.Duration, done bool, err error) {
	return m.apply(ctx, key, func() {
		for i := range key.Status.Versions {
			if id := key.Status.Versions[i].ID; slices.Contains(key.Spec.RevokedKeyIDs, id) && m.world.revoked(m, id) {
				m.world.count(func(s *simStats) { s.retired++ })
			}
		}
	})
}

// apply says in status.appliedGeneration that every auth server applies key as it is, when
// each does. What follows is reported by who finds that out, and by who finds it said: the
// other may have acted on an older view of the namespace.
func (m *simManager) apply(ctx context.Context, key *v1alpha1.APIKey, report func()) (again time.Duration, done bool, err error) {
	if key.Status.AppliedGeneration == key.Generation {
		m.applications.Done(client.ObjectKeyFromObject(key))
		report()
		return 0, false, nil
	}
	// The wait is for this generation: a later one stands at a later revision.
	purpose := fmt.Sprintf("apply generation %d, %s", key.Generation, key.Status.Acceptance)
	if again, done, err = m.revoked(ctx, m.applications, purpose, key); !done {
		return again, false, err
	}
	report()
	key.Status.AppliedGeneration = key.Generation
	if err = m.link.Update(ctx, key); err == nil {
		m.world.count(func(s *simStats) { s.applied++ })
	}
	return 0, true, err
}

// retire is what retire.go does of versions that were revoked: it lets them go when
// nobody accepts them any more. Nothing else waits for that.
func (m *simManager) retire(ctx context.Context, name types.NamespacedName, key *v1alpha1.APIKey) (again time.Duration, done bool, err error) {
	var ended []string
	kept := slices.DeleteFunc(slices.Clone(key.Status.Versions), func(v v1alpha1.KeyVersion) bool {
		if v.State == v1alpha1.VersionRevoked {
			ended = append(ended, v.ID)
		}
		return v.State == v1alpha1.VersionRevoked
	})
	if len(ended) == 0 {
		m.retirements.Done(name)
		return 0, false, nil
	}
	// The wait is for these versions: what is revoked later stands at a later revision.
	again, done, err = m.revoked(ctx, m.retirements, "retire "+strings.Join(ended, " "), key)
	if !done {
		return again, false, err
	}
	for _, version := range ended {
		if m.world.revoked(m, version) {
			m.world.count(func(s *simStats) { s.retired++ })
		}
	}
	key.Status.Versions = kept
	return 0, true, m.link.Update(ctx, key)
}
