// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"sort"
	"strings"
	"time"

	"github.com/hexcovery/apikey-operator/hack/controlplane"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

// writes is what the manager wrote while the measured keys lived, by kind of
// write, such as "patch apikeys/status".
type writes struct {
	// mint is what it wrote for a key until the key was deleted, and revoke what it
	// wrote for it from then on.
	mint, revoke map[string]int
	// events are its Events about measured keys, and leases its Leases meanwhile.
	events, leases int
}

// countWrites reads the API server's audit log. Attempts that failed count too:
// they cost the API server as much.
func countWrites(events []controlplane.AuditEvent, samples []sample) writes {
	lives := livesOf(events, samples)
	w := writes{mint: map[string]int{}, revoke: map[string]int{}}
	for i := range events {
		written := &events[i]
		if !byManager(written) || !isWrite(written) {
			continue
		}
		if isEvent(written) {
			if _, ok := lives.byName[keyOfEvent(written)]; ok {
				w.events++
			}
			continue
		}
		phase := lives.phaseOf(written)
		switch {
		case phase == outside:
		case written.Resource == "leases":
			w.leases++
		case phase == minting:
			w.mint[kindOf(written)]++
		case phase == revoking:
			w.revoke[kindOf(written)]++
		}
	}
	return w
}

// lives are when the measured keys were created and deleted.
type lives struct {
	ordered []life
	byName  map[string]int
}

type life struct{ created, deleted time.Time }

func livesOf(events []controlplane.AuditEvent, samples []sample) lives {
	l := lives{ordered: make([]life, len(samples)), byName: map[string]int{}}
	for i, s := range samples {
		l.byName[s.name] = i
	}
	for i := range events {
		request := &events[i]
		number, ok := l.byName[request.Name]
		if !ok || request.Namespace != namespace || request.Resource != "apikeys" || request.Subresource != "" || byManager(request) {
			continue
		}
		switch request.Verb {
		case "create":
			l.ordered[number].created = request.Time
		case "delete":
			l.ordered[number].deleted = request.Time
		}
	}
	return l
}

// phase is what the manager had to do at some time.
type phase int

const (
	outside phase = iota
	minting
	revoking
)

// phaseOf tells by its object what a write was for, and by its time if the object
// is no key or Secret of a key, so that a write to anything else is not missed.
func (l lives) phaseOf(written *controlplane.AuditEvent) phase {
	if written.Namespace != namespace {
		return l.phaseAt(written.Time)
	}
	number, ok := l.byName[written.Name]
	switch {
	case !ok:
		return outside
	case written.Time.Before(l.ordered[number].deleted):
		return minting
	}
	return revoking
}

func (l lives) phaseAt(t time.Time) phase {
	// The first key that was created later; the one before it is what it is about.
	next := sort.Search(len(l.ordered), func(i int) bool { return l.ordered[i].created.After(t) })
	switch {
	case next == 0:
		return outside
	case t.Before(l.ordered[next-1].deleted):
		return minting
	case next == len(l.ordered):
		// The revocation of the last key cannot be told from what comes after it.
		return outside
	}
	return revoking
}

func byManager(e *controlplane.AuditEvent) bool { return e.User == stack.User(stack.ManagerAccount) }

func isEvent(e *controlplane.AuditEvent) bool { return e.Resource == "events" }

func isWrite(e *controlplane.AuditEvent) bool {
	switch e.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
		return true
	}
	return false
}

// keyOfEvent returns the name of the object that an Event is about: an Event's name
// is that of its object, a dot, and a number.
func keyOfEvent(e *controlplane.AuditEvent) string {
	dot := strings.LastIndexByte(e.Name, '.')
	return e.Name[:max(dot, 0)]
}

func kindOf(e *controlplane.AuditEvent) string {
	kind := e.Verb + " " + e.Resource
	if e.Subresource != "" {
		kind += "/" + e.Subresource
	}
	if e.Code >= 400 {
		kind += " (failed)"
	}
	return kind
}
