// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"crypto/tls"
	"encoding/pem"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hexcovery/apikey-operator/test/gateways/relay"
)

// podShippers returns a pod before every entrance for each protocol. What speaks HTTP has
// keys of acme, what speaks gRPC those of globex.
func podShippers(prefix string) (all []*podShipper) {
	for _, name := range slices.Sorted(maps.Keys(world.entrances)) {
		entrance := world.entrances[name]
		overHTTP := newPodShipper(about{prefix + "http-" + name, "team-acme"}, "http/protobuf", "http://"+entrance.http)
		overGRPC := newPodShipper(about{prefix + "grpc-" + name, "team-globex"}, "grpc", "http://"+entrance.h2c)
		overHTTP.entrance, overGRPC.entrance = name, name
		all = append(all, overHTTP, overGRPC)
	}
	return all
}

// allShippers returns every client that there is: pods before every entrance, and the
// others before some.
func allShippers(t *testing.T) []shipper {
	t.Helper()
	var all []shipper
	for _, pod := range podShippers("sdk-") {
		all = append(all, pod)
	}
	secure, authority := secured(t, world.entrances["haproxy"].h2c)
	return append(all,
		newHTTPCollector(about{"collector-http", "team-acme"}, "http://"+world.entrances["nginx"].http),
		newGRPCCollector(about{"collector-grpc", "team-globex"}, secure, authority),
		&prometheusShipper{
			about: about{"prometheus", "team-acme"}, program: world.prometheus,
			config: "remote-write.yaml", endpoint: world.entrances["caddy"].http,
		},
		&prometheusShipper{
			about: about{"prometheus-headers", "team-globex"}, program: world.prometheus,
			config: "remote-write-2.42.yaml", endpoint: world.entrances["nginx"].http, reloads: true,
		},
	)
}

// secured puts a load balancer before a gateway, which ends TLS. It returns its address,
// and the path of the authority to trust.
func secured(t *testing.T, address string) (secure, authority string) {
	t.Helper()
	// The certificate of httptest is good for loopback.
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	authority = filepath.Join(world.dir, "authority.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(authority, block, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: server.TLS.Certificates, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12,
	})
	if err != nil {
		t.Fatal(err)
	}
	balancer := relay.Start(listener, address)
	t.Cleanup(balancer.Close)
	return balancer.Address(), authority
}
