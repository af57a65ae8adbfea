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
)

// Facts are what is known of one APIKey at one moment. Decide does not change them. What
// costs a request is absent until it was asked for.
type Facts struct {
	Now          time.Time              // the one clock reading of all judgements
	Key          *v1alpha1.APIKey       // as the API server has stored it
	Organization *v1alpha1.Organization // the one that it names; nil for none
	Namespace    Namespace              // the APIKey's
	Confirmed    bool                   // Organization and Namespace are the API server's, and not a cache's

	// Secret and Previous are what is in the places of the APIKey's Secrets.
	Secret, Previous Place
	// Held are the IDs of the versions whose keys can be written into a Secret: one that was
	// minted by this process, and those that were read.
	Held   sets.Set[string]
	Minted string       // the ID of the one that waits to be published; "" for none
	Fresh  *keys.Digest // of a key that was minted just now; nil for none
	// Superseded: another manager has given up the first version, which this one is about
	// to publish; nil where that was not asked.
	Superseded *bool

	Senior bool               // an older APIKey has the hash of the current version, too
	Rivals map[string][]Rival // the other APIKeys that have a hash of spec.importedKeys, or its key ID
	// Claims says of a hash whether it was reserved for this APIKey; it is not there where
	// that was not asked for.
	Claims map[string]bool

	Acks     map[Purpose]Ack // what auth servers have applied
	Uses     map[string]Use  // what keys are used for, by key ID
	Coverage Coverage        // how far that is known
	Rollout  Rollout         // how far the restart of consumers has come
	Repairs  Repairs         // what this process has written into the Secrets

	// Refusal is how the API server has refused the last write of the Secret, or the deletion
	// of one of the two; "" if it did not. It says what refused it, without quoting the
	// object: "code 400", "admission webhook NAME, code 403".
	Refusal         string
	PreviousRefused bool   // it has refused the previous Secret
	Unwritable      string // how it has refused a write of the finalizer; "" if it did not
	Template        string // why spec.secret.data cannot be written, as far as only the key tells
	Removed         bool   // the Secrets of an APIKey that is being deleted are gone
	Released        bool   // this process has taken the finalizer off
}

// Namespace is what of an APIKey's namespace matters.
type Namespace struct {
	Permitted   bool // the Organization's selector matches its labels
	Unreadable  bool // that selector cannot be read
	Terminating bool // it is being deleted
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
	Same            bool // it has the hash, and not only one with the same key ID
	Senior          bool // it is older
}

// Purpose names a wait for auth servers. The wait is for the revision that the APIKey had
// when it was first asked for.
type Purpose struct {
	Kind PurposeKind
	Of   string // tells one wait of that kind from the next
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
	Complete    bool // nobody is waited for
	None        bool // no auth server is running
	Slow        bool // the wait has lasted so long that people should be told
	Missing, Of int  // so many of so many auth servers are waited for
	Names       string
	Again       time.Duration // when to ask again at the latest
}

// wait says for people who is waited for to do something.
func (a Ack) wait(to string) string {
	return fmt.Sprintf("Waiting for %d of %d auth servers to %s: %s.", a.Missing, a.Of, to, a.Names)
}

// Use is what a key was seen to be used for.
type Use struct {
	LastUsed time.Time // zero for never
	Requests int64     // counted since the key was replaced
	From     string    // names where they came from
}

// Coverage is how far what is known of uses can be relied on.
type Coverage struct {
	Until   time.Time // the time up to which the use is known, from every auth server; zero if one was never heard
	LastGap time.Time // when use may have been missed last
}

// Rollout is how far the restart of consumers has come.
type Rollout struct {
	Unfinished bool   // pods may still run with the key that was replaced
	Message    string // what is waited for, or could not be restarted
}

// Repairs are what this process has done about an APIKey's Secrets that others write, too.
type Repairs struct {
	Main, Previous Repair
	GivenUp        int32     // how often a key was given up because of a mark in the Secret
	GaveUp         time.Time // when
}

// Of is the Repair of one of the two Secrets.
func (r *Repairs) Of(previous bool) *Repair {
	if previous {
		return &r.Previous
	}
	return &r.Main
}

// Repair is what was written into a Secret, and how often it had to be written again.
type Repair struct {
	Form  string    // what was written last; "" for nothing
	Again int32     // how often it was written again
	Last  time.Time // when
}

// Written notes a write, and reports whether the last one was the same: somebody has changed it.
func (r *Repair) Written(form string, now time.Time) (again bool) {
	if form != r.Form {
		*r = Repair{Form: form}
		return false
	}
	r.Again, r.Last = Another(r.Again, r.Last, now), now
	return true
}
