// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// auditPolicy logs every request once or, if it is a watch, at its start and at its end; without bodies.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

// ErrNoAuditLog is returned by AuditEvents if the control plane was started without Options.AuditLog.
var ErrNoAuditLog = errors.New("the control plane has no audit log")

// AuditEvents returns every request so far, in the order in which they were answered; a watch counts from its start. The
// line about a request may be written a moment after its client has got the answer. What an event points to is never nil,
// and empty where it does not apply.
func (cp *ControlPlane) AuditEvents() ([]auditv1.Event, error) {
	if cp.audit == nil {
		return nil, ErrNoAuditLog
	}
	events, err := cp.audit.follow(cp.auditLogPath())
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return events, nil
}

func (cp *ControlPlane) auditLogPath() string { return filepath.Join(cp.LogDir(), "audit.log") }

// auditTrail is what has been read of an audit log.
type auditTrail struct {
	mu     sync.Mutex
	bytes  int64
	seen   sets.Set[types.UID]
	events []auditv1.Event
}

func newAuditTrail() *auditTrail { return &auditTrail{seen: sets.New[types.UID]()} }

// follow reads what has been written since the last call, and returns all events.
func (a *auditTrail) follow(path string) ([]auditv1.Event, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.NewSectionReader(file, a.bytes, math.MaxInt64-a.bytes))
	if err != nil {
		return nil, err
	}
	err = a.read(data)
	return a.events, err
}

// read takes one event a request: of the lines about a watch, which share an id, the first.
func (a *auditTrail) read(data []byte) error {
	for {
		line, rest, complete := bytes.Cut(data, []byte("\n"))
		if !complete { // The server is writing this line right now.
			return nil
		}
		var event auditv1.Event
		if err := json.Unmarshal(line, &event); err != nil {
			return err
		}
		a.bytes += int64(len(line)) + 1
		data = rest
		if !a.seen.Has(event.AuditID) {
			a.seen.Insert(event.AuditID)
			event.ObjectRef = cmp.Or(event.ObjectRef, &auditv1.ObjectReference{})
			event.ImpersonatedUser = cmp.Or(event.ImpersonatedUser, &authenticationv1.UserInfo{})
			event.ResponseStatus = cmp.Or(event.ResponseStatus, &metav1.Status{})
			a.events = append(a.events, event)
		}
	}
}
