// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/hexcovery/apikey-operator/hack/controlplane"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

// writes is what the manager wrote while the measured keys lived.
type writes struct {
	// mint is what it wrote for a key until the key was deleted, and revoke what it
	// wrote for it from then on.
	mint, revoke kinds
	// events are its Events about measured keys, and leases its Leases meanwhile.
	events, leases int
}

// kinds count writes by their kind, such as "patch apikeys/status".
type kinds map[string]int

// countWrites reads the API server's audit log. Attempts that failed count too: they
// cost the API server as much. What a write was for is told by its object, and by its
// time if the object is no key or Secret of a key, so that a write to anything else is
// not missed.
func countWrites(events []controlplane.AuditEvent, lives []life) writes {
	w := writes{mint: kinds{}, revoke: kinds{}}
	// Where the manager's writes count: those for each measured key, and those at the
	// time; nil is nowhere.
	of, now := map[string]kinds{}, kinds(nil)
	for _, l := range lives {
		of[l.name] = nil
	}
	byTime := func(a, b controlplane.AuditEvent) int { return a.Time.Compare(b.Time) }
	for _, e := range slices.SortedStableFunc(slices.Values(events), byTime) {
		_, measured := of[e.Name]
		switch {
		case measured && !byManager(&e) && e.Verb == "create" && isKey(&e):
			now = w.mint
			of[e.Name] = now
		case measured && !byManager(&e) && e.Verb == "delete" && isKey(&e):
			now = w.revoke
			of[e.Name] = now
			if e.Name == lives[len(lives)-1].name {
				now = nil // The last revocation cannot be told from what comes after it.
			}
		case !byManager(&e) || !isWrite(&e):
		case isEvent(&e):
			if _, measured := of[keyOfEvent(&e)]; measured {
				w.events++
			}
		case e.Namespace == tenant:
			of[e.Name].add(&e)
		case now != nil && e.Resource == "leases":
			w.leases++
		default:
			now.add(&e)
		}
	}
	return w
}

func (k kinds) add(e *controlplane.AuditEvent) {
	if k == nil {
		return
	}
	kind := e.Verb + " " + e.Resource
	if e.Subresource != "" {
		kind += "/" + e.Subresource
	}
	if e.Code >= 400 {
		kind += " (failed)"
	}
	k[kind]++
}

// note notes how often each kind was written for one key on average, and returns the sum.
func (k kinds) note(phase string, keys float64) (perKey float64) {
	for _, kind := range slices.Sorted(maps.Keys(k)) {
		note("%s: %5.2f %s", phase, float64(k[kind])/keys, kind)
		perKey += float64(k[kind]) / keys
	}
	return perKey
}

func byManager(e *controlplane.AuditEvent) bool { return e.User == stack.User(stack.ManagerAccount) }

func isKey(e *controlplane.AuditEvent) bool {
	return e.Namespace == tenant && e.Resource == "apikeys" && e.Subresource == ""
}

func isEvent(e *controlplane.AuditEvent) bool { return e.Resource == "events" }

func isWrite(e *controlplane.AuditEvent) bool {
	return slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, e.Verb)
}

// keyOfEvent returns the name of the object that an Event is about: an Event's name
// is that of its object, a dot, and a number.
func keyOfEvent(e *controlplane.AuditEvent) string {
	dot := strings.LastIndexByte(e.Name, '.')
	return e.Name[:max(dot, 0)]
}
