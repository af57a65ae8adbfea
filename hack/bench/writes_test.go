// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"testing"
	"time"

	"github.com/hexcovery/apikey-operator/hack/controlplane"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

// at is a request that was received so many milliseconds after the start.
func at(ms int, user, verb, resource, subresource, name string, code int) controlplane.AuditEvent {
	event := controlplane.AuditEvent{
		User: user, Verb: verb, Resource: resource, Subresource: subresource, Namespace: tenant, Name: name, Code: code,
		Time: time.UnixMilli(int64(ms)),
	}
	if resource == "leases" || resource == "organizations" {
		event.Namespace = stack.Namespace
	}
	return event
}

func TestCountWrites(t *testing.T) {
	const admin = "admin"
	manager := stack.User(stack.ManagerAccount)
	w := countWrites([]controlplane.AuditEvent{
		at(0, admin, "create", "apikeys", "", "warmup", 201),
		at(1, manager, "patch", "apikeys", "status", "warmup", 200),
		at(2, manager, "update", "leases", "", "leader", 200), // before the first measured key
		at(10, admin, "create", "apikeys", "", "a", 201),
		at(11, manager, "patch", "apikeys", "", "a", 200),
		at(12, manager, "get", "secrets", "", "a", 404), // a read
		at(13, manager, "create", "secrets", "", "a", 201),
		at(14, manager, "update", "organizations", "status", "acme", 200), // by its time
		at(15, "somebody", "create", "secrets", "", "a", 201),
		at(16, manager, "update", "leases", "", "leader", 200),
		at(20, admin, "delete", "apikeys", "", "a", 200),
		at(21, manager, "delete", "secrets", "", "a", 200),
		at(22, manager, "create", "events", "", "a.18f", 201),
		at(30, admin, "create", "apikeys", "", "b", 201),
		at(31, manager, "patch", "apikeys", "", "a", 404), // late: by its name
		at(32, manager, "patch", "apikeys", "status", "b", 200),
		at(40, admin, "delete", "apikeys", "", "b", 200),
		at(50, admin, "create", "apikeys", "", "last", 201),
		at(51, manager, "patch", "apikeys", "status", "last", 200),
		at(52, manager, "create", "events", "", "last.18f", 201),
	}, []life{{name: "a"}, {name: "b"}})

	wantMint := kinds{"patch apikeys": 1, "create secrets": 1, "update organizations/status": 1, "patch apikeys/status": 1}
	wantRevoke := kinds{"delete secrets": 1, "patch apikeys (failed)": 1}
	if !maps.Equal(w.mint, wantMint) || !maps.Equal(w.revoke, wantRevoke) || w.events != 1 || w.leases != 1 {
		t.Errorf("%+v", w)
	}
}
