// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/rotation"
)

// Facts are what is known of one APIKey at one moment. Decide does not change them. What
// costs a request is absent until it was asked for.
type Facts struct {
	// Now is the one clock reading of all judgements.
	Now time.Time
	// Key is the APIKey as the API server has stored it.
	Key *v1alpha1.APIKey
	// Organization is the one that it names; nil for none.
	Organization *v1alpha1.Organization
	// Namespace is the APIKey's.
	Namespace Namespace
	// Confirmed: Organization and Namespace are the API server's, and not a cache's.
	Confirmed bool

	// Secret and Previous are what is in the places of the APIKey's Secrets.
	Secret, Previous Place
	// Held are the IDs of the versions whose keys can be written into a Secret: one that was
	// minted by this process, and those that were read.
	Held sets.Set[string]
	// Minted is the ID of the one that waits to be published; "" for none.
	Minted string
	// Fresh is the digest of a key that was minted just now; nil for none.
	Fresh *keys.Digest
	// Superseded: another manager has given up the first version, which this one is about
	// to publish; nil where that was not asked.
	Superseded *bool

	// Senior: an older APIKey has the hash of the current version, too.
	Senior bool
	// Rivals are the other APIKeys that have a hash of spec.importedKeys, or its key ID.
	Rivals map[string][]Rival
	// Claims says of a hash whether it was reserved for this APIKey; it is not there where
	// that was not asked for.
	Claims map[string]bool

	// Acks say what auth servers have applied.
	Acks map[Purpose]Ack
	// Uses are what keys are used for, by key ID, and Coverage how far that is known.
	Uses     map[string]Use
	Coverage Coverage
	// Rollout is how far the restart of consumers has come.
	Rollout Rollout
	// Repairs are what this process has written into the Secret.
	Repairs Repairs

	// Refusal is why the API server did not take the last write of the Secret, or the deletion
	// of one of the two; nil if it did. PreviousRefused: it did not take the previous one.
	Refusal         *Refusal
	PreviousRefused bool
	// Unwritable is why it did not take a write of the finalizer; nil if it did.
	Unwritable *Refusal
	// Template is why spec.secret.data cannot be written, as far as only the key tells.
	Template string
	// Removed: the Secrets of an APIKey that is being deleted are gone.
	Removed bool
	// Released: this process has taken the finalizer off.
	Released bool
}

// Namespace is what of an APIKey's namespace matters.
type Namespace struct {
	// Permitted: the Organization's selector matches its labels. Unreadable: it cannot be read.
	Permitted, Unreadable bool
	// Terminating: it is being deleted.
	Terminating bool
}

// Place is what is where a Secret belongs.
type Place struct {
	// Live: the API server was asked. Otherwise a cache was, from which only good news is
	// taken: it lags, and knows no Secret without our label.
	Live bool
	// Secret has digests in place of its data; nil for none.
	Secret *corev1.Secret
}

// Rival is another APIKey that has a hash or its key ID.
type Rival struct {
	Namespace, Name string
	// Same: it has the hash, and not only one with the same key ID.
	Same bool
	// Senior: it is older.
	Senior bool
}

// Purpose names a wait for auth servers. The wait is for the revision that the APIKey had
// when it was first asked for.
type Purpose struct {
	Kind PurposeKind
	// Of tells one wait of that kind from the next.
	Of string
}

// PurposeKind is what auth servers are waited for.
type PurposeKind string

const (
	// Register waits until no auth server may call a key unknown.
	Register PurposeKind = "register"
	// Revoke waits until no auth server may apply what was before.
	Revoke PurposeKind = "revoke"
)

// Ack is what is known of a wait.
type Ack struct {
	// Complete: nobody is waited for.
	Complete bool
	// None: no auth server is running.
	None bool
	// Slow: the wait has lasted so long that people should be told.
	Slow bool
	// Missing of Of auth servers are waited for: Names.
	Missing, Of int
	Names       string
	// Again is when to ask again at the latest.
	Again time.Duration
}

// wait says for people who is waited for to do something.
func (a Ack) wait(to string) string {
	return fmt.Sprintf("Waiting for %d of %d auth servers to %s: %s.", a.Missing, a.Of, to, a.Names)
}

// Use is what a key was seen to be used for.
type Use struct {
	// LastUsed is zero for never.
	LastUsed time.Time
	// Requests are counted since the key was replaced, and From names where they came from.
	Requests int64
	From     string
}

// Coverage is how far what is known of uses can be relied on.
type Coverage struct {
	// Until is the time up to which the use is known, from every auth server; zero if one
	// was never heard.
	Until time.Time
	// LastGap is when use may have been missed last.
	LastGap time.Time
}

// Rollout is how far the restart of consumers has come.
type Rollout struct {
	// Unfinished: pods may still run with the key that was replaced.
	Unfinished bool
	// Message says what is waited for, or could not be restarted.
	Message string
}

// Repairs are what this process has written into an APIKey's Secret, and how often it had
// to write the same again.
type Repairs struct {
	// Form is what was written last; "" for nothing.
	Form string
	// Again is how often it was written again, and Last when.
	Again int32
	Last  time.Time
	// GivenUp is how often a key was given up because of a mark in the Secret, and GaveUp
	// when.
	GivenUp int32
	GaveUp  time.Time
}

// Refusal is how the API server has refused a write.
type Refusal struct {
	// By says what refused it, without quoting the object: "code 400", "admission webhook
	// NAME, code 403".
	By string
}

// scheduled is what a schedule knows of a version.
func scheduled(key *v1alpha1.APIKey, v *v1alpha1.KeyVersion) rotation.Key {
	return rotation.Key{Seed: string(key.UID) + v.ID, Registered: v.RegistrationTime.Time, Activated: timeOf(v.ActivationTime, v.RegistrationTime)}
}
