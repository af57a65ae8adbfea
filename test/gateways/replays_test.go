// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hexcovery/apikey-operator/test/gateways/replay"
	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

// replays are the gateways that do not run here: see package replay.
var replays = []column{
	{"envoy-grpc", func(t *testing.T, w *world) { startEnvoy(t, "envoy-grpc.yaml", w) }},
	{"envoy-http", func(t *testing.T, w *world) { startEnvoy(t, "envoy-http.yaml", w) }},
}

// startEnvoy puts a replay of Envoy into the world.
func startEnvoy(t *testing.T, file string, w *world) {
	t.Helper()
	bootstrap, err := os.ReadFile(filepath.Join("../../config/gateways/envoy", file))
	if err != nil {
		t.Fatal(err)
	}
	server := rig.StartAuthServer(t, w.registry, "")
	w.authServer = server.Gateways
	if file == "envoy-grpc.yaml" {
		w.authServer = server.GRPC
	}
	w.auth = rig.NewSwitch(t, w.authServer)
	gateway, err := replay.Start(t.Context(), bootstrap, replay.Options{
		AuthServer: w.auth.Address, AuthServerGRPC: w.auth.Address, Upstream: w.way.Address,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := gateway.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.http, w.h2c = gateway.Address, gateway.Address
}
