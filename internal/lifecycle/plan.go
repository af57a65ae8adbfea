// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"time"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// Plan is what is to be done about an APIKey: questions are to be answered, or Step is to be
// taken, and Decide called again. A Plan with neither says when to look again.
type Plan struct {
	Ask    Questions
	Step   Step
	Status v1alpha1.APIKeyStatus // what StepStatus writes
	Secret SecretWrite           // what StepSecret writes
	Waits  []Purpose             // for auth servers; all others of the APIKey are over
	Again  time.Duration         // when to look again even if nothing changes; 0 for never
}

// Questions are what has to be known.
type Questions struct {
	Permission bool          // what the API server has of the Organization and the namespace
	Spec       bool          // the whole spec, of which a cache has left out a part
	Secrets    bool          // what the API server has in their places, and the keys in them
	Digest     bool          // a new key
	Superseded bool          // see Facts
	Claims     []keys.Digest // hashes that are to be reserved for this APIKey
	Acks       []Purpose     // what auth servers are to be asked
}

// Asks reports whether anything has to be known first.
func (p *Plan) Asks() bool {
	q := &p.Ask
	return q.Permission || q.Spec || q.Secrets || q.Digest || q.Superseded || len(q.Claims)+len(q.Acks) > 0
}

// Step is one write.
type Step string

// The steps.
const (
	StepNone Step = "" // writes nothing
	// StepFinalizer adds the finalizer: a hash is registered only for an APIKey that cannot
	// go before the hash is revoked.
	StepFinalizer Step = "Finalizer"
	StepStatus    Step = "Status"  // writes Plan.Status
	StepSecret    Step = "Secret"  // writes Plan.Secret
	StepRemove    Step = "Remove"  // deletes the Secrets of an APIKey that is being deleted
	StepRelease   Step = "Release" // takes the finalizer off
)

// SecretWrite is one write of one of an APIKey's Secrets.
type SecretWrite struct {
	Previous bool   // it is the one for the key that was replaced last
	KeyID    string // names the key that it is to hold; "" to delete it
	Anew     bool   // nothing of the Secret in its place stays but its identity
	Mark     string // the ID of a key that is given up, and that no paused manager may publish
	Form     string // names what is written
}
