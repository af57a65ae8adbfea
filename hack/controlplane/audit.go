// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/utils/ptr"
)

// auditPolicy logs every request once or, if it is a watch, at its start and at its end; without bodies.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

// AuditEvent is one request, as kube-apiserver has answered it.
type AuditEvent struct {
	// User is who asked, before impersonation.
	User string
	// ImpersonatedUser is whom they asked as, if it was as somebody else.
	ImpersonatedUser string
	// Verb is that of RBAC: get, list, watch, create, update, patch, delete, deletecollection; of a request that is for no
	// resource, the HTTP method in lower case.
	Verb string
	// URI is the path and the query.
	URI string
	// Resource, Subresource, Namespace and Name are empty where they do not apply.
	Resource, Subresource, Namespace, Name string
	UserAgent                              string
	// Code is the HTTP status.
	Code int
	// Time is when the request was received, and Answered when it had been answered or, of a watch, when it began.
	Time, Answered time.Time
	// Annotations are what admission policies have to say of it, among others.
	Annotations map[string]string
}

// ErrNoAuditLog is returned by AuditEvents if the control plane was started without Options.AuditLog.
var ErrNoAuditLog = errors.New("the control plane has no audit log")

// AuditEvents returns every request so far, in the order in which they were answered; a watch counts from its start. The
// line about a request may be written a moment after its client has got the answer.
func (cp *ControlPlane) AuditEvents() ([]AuditEvent, error) {
	if !cp.auditLog {
		return nil, ErrNoAuditLog
	}
	data, err := os.ReadFile(cp.auditLogPath())
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return parseAuditLog(data)
}

func (cp *ControlPlane) auditLogPath() string { return filepath.Join(cp.LogDir(), "audit.log") }

// parseAuditLog reads one event a request: of the lines about a watch, which share an id, the first.
func parseAuditLog(data []byte) ([]AuditEvent, error) {
	var events []AuditEvent
	seen := map[types.UID]bool{}
	for {
		line, rest, complete := bytes.Cut(data, []byte("\n"))
		if !complete { // The server is writing this line right now.
			return events, nil
		}
		data = rest
		var parsed auditv1.Event
		if err := json.Unmarshal(line, &parsed); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		if seen[parsed.AuditID] {
			continue
		}
		seen[parsed.AuditID] = true
		events = append(events, eventOf(&parsed))
	}
}

func eventOf(e *auditv1.Event) AuditEvent {
	object := ptr.Deref(e.ObjectRef, auditv1.ObjectReference{})
	return AuditEvent{
		User:             e.User.Username,
		ImpersonatedUser: ptr.Deref(e.ImpersonatedUser, authenticationv1.UserInfo{}).Username,
		Verb:             e.Verb,
		URI:              e.RequestURI,
		Resource:         object.Resource,
		Subresource:      object.Subresource,
		Namespace:        object.Namespace,
		Name:             object.Name,
		UserAgent:        e.UserAgent,
		Code:             int(ptr.Deref(e.ResponseStatus, metav1.Status{}).Code),
		Time:             e.RequestReceivedTimestamp.Time,
		Answered:         e.StageTimestamp.Time,
		Annotations:      e.Annotations,
	}
}
