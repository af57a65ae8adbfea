// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"net"
	"testing"

	"github.com/hexcovery/apikey-operator/hack/process"
	"github.com/hexcovery/apikey-operator/test/gateways/relay"
)

// Silence takes connections, and never says a word.
const Silence = relay.Silence

// Switch stands where gateways look for the auth server. It passes bytes on,
// untouched, until a test has it do something else. Its methods are for the goroutine of
// the test alone.
type Switch struct {
	// Address is its host:port, always the same.
	Address string

	t testing.TB
	// relay is nil while nobody is to be there.
	relay *relay.Relay
}

// NewSwitch returns one that leads to the target, until the test ends.
func NewSwitch(t testing.TB, target string) *Switch {
	t.Helper()
	// Not any port: while nobody is there, it must not become somebody else's.
	addresses, err := process.FreeAddresses(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	s := &Switch{Address: addresses[0], t: t}
	s.Lead(target)
	t.Cleanup(s.Vanish)
	return s
}

// Lead has the Switch lead to the target from now on, or to Silence. Connections that
// stand are cut.
func (s *Switch) Lead(target string) {
	s.t.Helper()
	if s.relay != nil {
		s.relay.Route(target)
		s.relay.Cut()
		return
	}
	listener, err := net.Listen("tcp", s.Address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.relay = relay.Start(listener, target)
}

// Vanish refuses connections, and cuts those that stand.
func (s *Switch) Vanish() {
	if s.relay != nil {
		s.relay.Close()
		s.relay = nil
	}
}
