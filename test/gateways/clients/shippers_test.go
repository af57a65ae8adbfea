// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"maps"
	"slices"
	"testing"
)

// allShippers returns every client before every entrance. What speaks HTTP has keys of
// acme, what speaks gRPC those of globex.
func allShippers(t *testing.T) []shipper {
	t.Helper()
	var all []shipper
	for _, name := range slices.Sorted(maps.Keys(world.entrances)) {
		entrance := world.entrances[name]
		all = append(all,
			newPodShipper(about{"sdk-http-" + name, "team-acme"}, "http/protobuf", "http://"+entrance.http),
			newPodShipper(about{"sdk-grpc-" + name, "team-globex"}, "grpc", "http://"+entrance.h2c),
		)
	}
	return all
}
