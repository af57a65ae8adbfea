// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/internal/registry"
)

// The first may be gone without this process having seen it go: it was removed by
// force while the watch was reconnecting.
func TestAnAPIKeyMadeAnewDoesNotInheritARevocation(t *testing.T) {
	waiters := registry.NewWaiters(testclock.NewFakePassiveClock(noon))
	first, second := testKey(), testKey()
	first.UID, second.UID = "first", "second"
	name := client.ObjectKeyFromObject(first)
	waiters.Wait(name, revocationPurpose(first), "100")
	if awaited := waiters.Wait(name, revocationPurpose(second), "200").Revision; awaited != "200" {
		t.Errorf("waits for revision %s, at which another APIKey was revoked", awaited)
	}
	if awaited := waiters.Wait(name, revocationPurpose(second), "300").Revision; awaited != "200" {
		t.Errorf("waits for revision %s, and would for each later one", awaited)
	}
}
