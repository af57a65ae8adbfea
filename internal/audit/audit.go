// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit writes what happened to each key, one JSON line an event, apart
// from the logs. A line names a key by its ID, never by anything that it could
// be derived from.
package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// Action is what happened.
type Action string

const (
	// Minted: a hash was registered for a new key.
	Minted Action = "Minted"
	// Published: the key is in its Secret.
	Published Action = "Published"
	// Rotated: another key took the place of one that works, which retires.
	Rotated Action = "Rotated"
	// RotationUndone: a key that was retiring and its successor changed places.
	RotationUndone Action = "RotationUndone"
	// Retired: no auth server accepts a key that was replaced any more.
	Retired Action = "Retired"
	// DriftRepaired: the Secret was deleted or edited by hand, so the key it held
	// was revoked and another minted.
	DriftRepaired Action = "DriftRepaired"
	// Suspended: spec.suspend, or the organization's, has stopped the key.
	Suspended Action = "Suspended"
	// Resumed: a key that was suspended, expired or not permitted works again.
	Resumed Action = "Resumed"
	// Expired: the key's expiresAt has passed.
	Expired Action = "Expired"
	// Refused: the organization does not permit the key, or no longer does.
	Refused Action = "Refused"
	// Revoked: no auth server accepts the key: its APIKey was deleted, or it is one
	// that was not to be replaced in peace.
	Revoked Action = "Revoked"
)

// Event is one line.
type Event struct {
	// Time is set by Record.
	Time         time.Time `json:"time"`
	Action       Action    `json:"action"`
	Namespace    string    `json:"namespace"`
	Name         string    `json:"name"`
	UID          types.UID `json:"uid"`
	Organization string    `json:"organization,omitempty"`
	// KeyID is the key's, as far as there is one.
	KeyID string `json:"keyID,omitempty"`
	// PreviousKeyID is the key's that this one replaces.
	PreviousKeyID string `json:"previousKeyID,omitempty"`
	Reason        string `json:"reason,omitempty"`
	Message       string `json:"message,omitempty"`
}

// Recorder writes events to one writer. It is safe for concurrent use.
type Recorder struct {
	mu     sync.Mutex
	writer io.Writer
	clock  clock.PassiveClock
}

// NewRecorder returns a Recorder that writes whole lines to w.
func NewRecorder(w io.Writer, clock clock.PassiveClock) *Recorder {
	return &Recorder{writer: w, clock: clock}
}

// Record writes one event. An error means that the line may be missing.
func (r *Recorder) Record(event Event) error {
	event.Time = r.clock.Now().UTC()
	line, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encode audit event: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.writer.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write audit event: %w", err)
	}
	return nil
}
