// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/internal/registry"
)

func TestWhereTheManagerAsksForUsage(t *testing.T) {
	for _, test := range []struct{ arguments, podIP, listen, address string }{
		{"", "", "", ""},
		{"", "10.1.2.3", ":8443", "10.1.2.3:8443"},
		{"", "fd00::7", ":8443", "[fd00::7]:8443"},
		{"--usage-listen=", "10.1.2.3", "", ""},
		{"--usage-listen=0.0.0.0:9", "10.1.2.3", "0.0.0.0:9", "10.1.2.3:9"},
		{"--usage-listen=127.0.0.1:0", "10.1.2.3", "127.0.0.1:0", ""}, // that of the listener
		{"--usage-listen=:9 --usage-address=192.0.2.1:10", "", ":9", "192.0.2.1:10"},
	} {
		o, err := parse(strings.Fields(test.arguments), environment("POD_IP", test.podIP), io.Discard)
		if err != nil || o.usage.listen != test.listen || o.usage.address != test.address {
			t.Errorf("%q in a pod at %q: %+v, %v", test.arguments, test.podIP, o.usage, err)
		}
	}
	for _, test := range []struct{ arguments, podIP, want string }{
		{"--usage-listen=:8443", "", `--usage-listen ":8443": set --usage-address, or the environment variable POD_IP`},
		{"--usage-listen=:8443", "pod", `POD_IP is "pod"`},
		{"--usage-listen=:https", "10.1.2.3", "the port a number"},
		{"--usage-listen=8443", "10.1.2.3", `--usage-listen "8443"`},
		{"--usage-listen=:8443 --usage-address=authserver:8443", "", "set it to an IP address and a port"},
		{"--usage-address=10.1.2.3:8443", "", "--usage-address: needs --usage-listen"},
		{"--usage-handover-timeout=1s", "", "--usage-handover-timeout: needs --usage-listen"},
		{"--usage-handover-timeout=-1s", "10.1.2.3", "--usage-handover-timeout must not be negative"},
	} {
		_, err := parse(strings.Fields(test.arguments), environment("POD_IP", test.podIP), io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q in a pod at %q: %v, want %q", test.arguments, test.podIP, err, test.want)
		}
	}
}

func TestTheLeaseSaysWhereUsageIsTold(t *testing.T) {
	none, err := openUsage(t.Context(), &usageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := registry.ReplicaConfig{}
	none.announce(&config)
	if usage, err := none.serve(nil, nil, nil); usage != nil || err != nil || config.Usage != nil {
		t.Errorf("nothing is counted: %v, %v, %+v", usage, err, config)
	}
	first, err := openUsage(t.Context(), &usageOptions{listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer first.listener.Close()
	first.announce(&config)
	if config.Usage == nil || config.UsageAddress != first.listener.Addr().String() || len(config.UsagePin) != 64 {
		t.Errorf("%+v", config)
	}
	second, err := openUsage(t.Context(), &usageOptions{listen: "127.0.0.1:0", address: "192.0.2.1:8443"})
	if err != nil {
		t.Fatal(err)
	}
	defer second.listener.Close()
	if second.pin == first.pin || second.address.String() != "192.0.2.1:8443" {
		t.Errorf("%s, pins %s and %s", second.address, first.pin, second.pin)
	}
	if _, err := openUsage(t.Context(), &usageOptions{listen: first.listener.Addr().String()}); err == nil || !strings.Contains(err.Error(), "--usage-listen") {
		t.Errorf("a port that is taken: %v", err)
	}
}
