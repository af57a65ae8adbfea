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

	"sigs.k8s.io/controller-runtime/pkg/envtest"
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
	// Group, Resource, Subresource, Namespace and Name are empty where they do not apply.
	Group, Resource, Subresource, Namespace, Name string
	UserAgent                                     string
	// Code is the HTTP status.
	Code int
	// Time is when the request was received, and Answered when it was answered.
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

func (cp *ControlPlane) configureAudit(flags *envtest.Arguments) error {
	policy := filepath.Join(cp.apiServerDir(), "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	flags.
		Set("audit-policy-file", policy).
		Set("audit-log-path", cp.auditLogPath()).
		Set("audit-log-mode", "blocking").
		// No rotation: one file has it all.
		Set("audit-log-maxsize", "0")
	return nil
}

// auditLine is what is read of an audit.k8s.io/v1 Event.
type auditLine struct {
	AuditID    string `json:"auditID"`
	RequestURI string `json:"requestURI"`
	Verb       string `json:"verb"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	ImpersonatedUser struct {
		Username string `json:"username"`
	} `json:"impersonatedUser"`
	UserAgent string `json:"userAgent"`
	ObjectRef struct {
		APIGroup    string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	RequestReceivedTimestamp time.Time         `json:"requestReceivedTimestamp"`
	StageTimestamp           time.Time         `json:"stageTimestamp"`
	Annotations              map[string]string `json:"annotations"`
}

// parseAuditLog reads one event a request: of the lines about a watch, which share an id, the first.
func parseAuditLog(data []byte) ([]AuditEvent, error) {
	var events []AuditEvent
	seen := map[string]bool{}
	for {
		line, rest, complete := bytes.Cut(data, []byte("\n"))
		if !complete { // The server is writing this line right now.
			return events, nil
		}
		data = rest
		var parsed auditLine
		if err := json.Unmarshal(line, &parsed); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		if seen[parsed.AuditID] {
			continue
		}
		seen[parsed.AuditID] = true
		events = append(events, parsed.event())
	}
}

func (l *auditLine) event() AuditEvent {
	return AuditEvent{
		User:             l.User.Username,
		ImpersonatedUser: l.ImpersonatedUser.Username,
		Verb:             l.Verb,
		URI:              l.RequestURI,
		Group:            l.ObjectRef.APIGroup,
		Resource:         l.ObjectRef.Resource,
		Subresource:      l.ObjectRef.Subresource,
		Namespace:        l.ObjectRef.Namespace,
		Name:             l.ObjectRef.Name,
		UserAgent:        l.UserAgent,
		Code:             l.ResponseStatus.Code,
		Time:             l.RequestReceivedTimestamp,
		Answered:         l.StageTimestamp,
		Annotations:      l.Annotations,
	}
}
