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
	Ask  Questions
	Step Step
	// Status is what StepStatus writes.
	Status v1alpha1.APIKeyStatus
	// Secret is what StepSecret writes.
	Secret SecretWrite
	// Waits are for auth servers; all others of the APIKey are over.
	Waits []Purpose
	// Again is when to look again even if nothing changes; 0 for never.
	Again time.Duration
}

// Questions are what has to be known.
type Questions struct {
	// Permission: what the API server has of the Organization and the namespace.
	Permission bool
	// Spec: the whole spec, of which a cache has left out a part.
	Spec bool
	// Secrets: what the API server has in their places, and the keys in them.
	Secrets bool
	// Digest: a new key.
	Digest bool
	// Superseded: see Facts.
	Superseded bool
	// Claims are hashes that are to be reserved for this APIKey.
	Claims []keys.Digest
	// Acks are what auth servers are to be asked.
	Acks []Purpose
}

func (q *Questions) empty() bool {
	return !q.Permission && !q.Spec && !q.Secrets && !q.Digest && !q.Superseded && len(q.Claims)+len(q.Acks) == 0
}

// Asks reports whether anything has to be known first.
func (p *Plan) Asks() bool { return !p.Ask.empty() }

// Step is one write.
type Step string

const (
	// StepNone writes nothing.
	StepNone Step = ""
	// StepFinalizer adds the finalizer: a hash is registered only for an APIKey that cannot
	// go before the hash is revoked.
	StepFinalizer Step = "Finalizer"
	// StepStatus writes Plan.Status.
	StepStatus Step = "Status"
	// StepSecret writes Plan.Secret.
	StepSecret Step = "Secret"
	// StepRemove deletes the Secrets of an APIKey that is being deleted.
	StepRemove Step = "Remove"
	// StepRelease takes the finalizer off.
	StepRelease Step = "Release"
)

// SecretWrite is one write of one of an APIKey's Secrets.
type SecretWrite struct {
	// Previous: it is the one for the key that was replaced last.
	Previous bool
	// KeyID names the key that it is to hold; "" to delete it.
	KeyID string
	// Anew: nothing of the Secret in its place stays but its identity.
	Anew bool
	// Mark is the ID of a key that is given up, and that no paused manager may publish.
	Mark string
	// Form names what is written; Again: it was written like this before, and somebody has
	// changed it.
	Form  string
	Again bool
}
