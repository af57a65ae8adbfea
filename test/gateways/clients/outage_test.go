// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"context"
	"os"
	"testing"

	"golang.org/x/sync/errgroup"
)

// While no auth server is there gateways answer 503, over gRPC UNAVAILABLE. SDKs keep
// what they could not send, and send it again.
//
// The built-in proxy is away with the auth server that it is part of. The SDK for Go
// over HTTP gives up a batch when nobody takes its connection, so that there it is the
// replicas that have to keep somebody there.
func TestNothingIsLostWhileNoAuthServerIsThere(t *testing.T) {
	ctx := within(t, journeyTimeout)
	j := &journey{}
	for _, shipper := range podShippers("outage-") {
		if shipper.entrance != builtIn {
			j.shippers = append(j.shippers, shipper)
		}
	}
	secrets, err := secretsOf(ctx, "steady")
	if err != nil {
		t.Fatal(err)
	}
	err = j.each(ctx, func(ctx context.Context, _ int, s shipper) error { return s.start(ctx, secrets[s.team()]) })
	if err != nil {
		t.Fatal(err)
	}

	// All at once, and nobody is ready until all have ended.
	stopping, stopCtx := errgroup.WithContext(ctx)
	for _, server := range world.product.AuthServers {
		stopping.Go(func() error { return server.Stop(stopCtx) })
	}
	if err := stopping.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := awaitReady(ctx, 0); err != nil {
		t.Fatal(err)
	}
	// Gateways have asked in vain, and more often than each client has signals.
	before := world.authServers.Refused()
	err = eventually(ctx, func() (bool, error) { return world.authServers.Refused() > before+3*len(j.shippers), nil })
	if err != nil {
		t.Fatal(err)
	}
	starting, startCtx := errgroup.WithContext(ctx)
	for _, server := range world.product.AuthServers {
		starting.Go(func() error { return server.Start(startCtx) })
	}
	if err := starting.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := j.more(ctx, "steady"); err != nil {
		t.Fatal(err)
	}
	if err := j.finish(ctx); err != nil {
		t.Fatal(err)
	}
	for i, shipper := range j.shippers {
		t.Run(shipper.name(), func(t *testing.T) { compare(t, shipper, j.sent[i], "steady") })
	}
}

// The order of a replacement matters: a key that is deleted before what uses it has
// another one is refused with 401, and an SDK gives the batch up. It is also what shows
// that a batch that is lost here is missed.
func TestAKeyThatIsDeletedTooSoonLosesBatches(t *testing.T) {
	ctx := within(t, journeyTimeout)
	s := newPodShipper(about{"hasty", "team-acme"}, "http/protobuf", "http://"+world.entrances["nginx"].http)
	data, err := secret(ctx, key{namespace: "team-acme", name: "hasty"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.start(ctx, data); err != nil {
		t.Fatal(err)
	}
	if err := kubectl(ctx, "delete", "apikey", "hasty", "-n", "team-acme", "--timeout=60s"); err != nil {
		t.Fatal(err)
	}
	err = eventually(ctx, func() (bool, error) {
		log, err := os.ReadFile(s.pod.LogPath)
		return bytes.Contains(log, []byte("401 Unauthorized")), err
	})
	if err != nil {
		t.Fatal(err)
	}
	sent, err := s.finish(ctx)
	if err == nil {
		t.Error("the SDK knows of nothing that it could not send")
	}
	missing := 0
	for stream, numbers := range sent {
		missing += len(world.store.Tally(stream).Missing(numbers))
	}
	if missing == 0 {
		t.Error("nothing is missing of what was sent with a key that is deleted")
	}
	t.Logf("%d are missing, as they should be", missing)
}
