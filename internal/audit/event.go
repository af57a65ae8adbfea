// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Action is what happened.
type Action string

const (
	// Started is the first line of a chain: a program began to write.
	Started Action = "Started"
	// Stopped is the last line of a chain: the program ended gracefully.
	Stopped Action = "Stopped"
	// LinesDropped: Count events since Since have no line, because too many lines waited for the writer.
	LinesDropped Action = "LinesDropped"

	// Minted: a hash was registered for a new key.
	Minted Action = "Minted"
	// Imported: a hash was registered for a key that was issued elsewhere.
	Imported Action = "Imported"
	// Published: the key is in its Secret.
	Published Action = "Published"
	// Rotated: another key has taken the place of one that still works.
	Rotated Action = "Rotated"
	// RotationUndone: a key that was replaced is the current one again.
	RotationUndone Action = "RotationUndone"
	// Retired: a key that was replaced is no longer accepted.
	Retired Action = "Retired"
	// DriftRepaired: the Secret was deleted or edited by hand, so the key it held
	// was revoked and another minted.
	DriftRepaired Action = "DriftRepaired"
	// Suspended: spec.suspend, or the organization's, has stopped the key.
	Suspended Action = "Suspended"
	// Widened: a key that exists reaches more scopes than before.
	Widened Action = "Widened"
	// Resumed: a key that was suspended, expired or not permitted works again.
	Resumed Action = "Resumed"
	// Expired: the key's time is over.
	Expired Action = "Expired"
	// Revoked: the APIKey was deleted, and no auth server accepts its key.
	Revoked Action = "Revoked"
	// Refused: the organization does not permit the key, or no longer does; or an
	// auth server refused requests.
	Refused Action = "Refused"
	// SurfaceChanged: an auth server applies another surface, or has refused one.
	SurfaceChanged Action = "SurfaceChanged"
)

// Object is what an event is about.
type Object struct {
	// Kind is APIKey where it is empty.
	Kind      string    `json:"kind,omitempty"`
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name,omitempty"`
	UID       types.UID `json:"uid,omitempty"`
	// Generation of the object's spec that was acted on.
	Generation int64 `json:"generation,omitempty"`
}

// Event is the content of a line, but for what the chain adds.
type Event struct {
	Action Action `json:"action"`
	Object `json:"object"`
	// Actor is who wanted it, as far as that is known. One that is zero is recorded as
	// unknown.
	Actor Actor `json:"actor"`
	// Organization is the id of the organization.
	Organization string `json:"organization,omitempty"`
	// KeyID is the key's, as far as there is one.
	KeyID string `json:"keyID,omitempty"`
	// PreviousKeyID is that of the key that this one replaces.
	PreviousKeyID string `json:"previousKeyID,omitempty"`
	// Reason is one of the reasons of conditions, or of an auth server's decisions.
	Reason string `json:"reason,omitempty"`
	// Message is for people.
	Message string `json:"message,omitempty"`
	// Requests is how many requests bore a key since it was replaced, when it is retired.
	Requests int64 `json:"requests,omitempty"`
	// Endpoint is that of an auth server that refused.
	Endpoint string `json:"endpoint,omitempty"`
	// Count is how many events a line stands for, where it may be more than one.
	Count int64 `json:"count,omitempty"`
	// Since is when the first of them may have been.
	Since *time.Time `json:"since,omitempty"`
	// Before and After are digests of a surface.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Bounds of what a line holds, in bytes. Kubernetes permits names of 253.
const (
	maxName    = 253
	maxMessage = 1024
	maxWord    = 128
)

// bounded is e with no string longer than its bound, and with an actor.
func (e Event) bounded() Event {
	cut := func(n int, texts ...*string) {
		for _, text := range texts {
			*text = shorten(*text, n)
		}
	}
	cut(maxName, &e.Namespace, &e.Name, &e.Organization, &e.Actor.Name, &e.Actor.Of, &e.Actor.LastChangedBy)
	cut(maxWord, (*string)(&e.Action), (*string)(&e.UID), (*string)(&e.Actor.Kind), &e.Kind, &e.KeyID, &e.PreviousKeyID, &e.Reason,
		&e.Endpoint, &e.Before, &e.After, &e.Actor.UID, &e.Actor.Cause)
	cut(maxMessage, &e.Message)
	if e.Actor.Kind == "" {
		e.Actor.Kind = ActorUnknown
	}
	return e
}

// shorten returns text, or its beginning and "…", in at most n bytes.
func shorten(text string, n int) string {
	const more = "…"
	if len(text) <= n {
		return text
	}
	// A character that was cut in its middle is no UTF-8 any more.
	return strings.ToValidUTF8(text[:n-len(more)], "") + more
}
