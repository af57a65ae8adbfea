// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hexcovery/apikey-operator/test/gateways/clients/recorder"
)

// shipper is one client of a gateway, from its start to its end.
type shipper interface {
	// name tells it from the others.
	name() string
	// team is the namespace whose keys it has, and so says which organization it is of.
	team() string
	// start has it send with the key in this Secret.
	start(ctx context.Context, secret map[string][]byte) error
	// replace has it send with the key in another Secret, as its operator would. Both
	// keys are valid meanwhile.
	replace(ctx context.Context, secret map[string][]byte) error
	// streams are what it sends now.
	streams() []recorder.Stream
	// finish has it send what it still has, and end. It returns the numbers of
	// everything that it has ever sent, stream by stream, and fails if the client itself
	// knows of something that it could not send.
	finish(ctx context.Context) (map[recorder.Stream][]int64, error)
	// repeats reports whether the client, by what is known of it, sends some items twice
	// when its key is replaced.
	repeats() bool
}

// about is what all shippers have.
type about struct{ title, namespace string }

func (a about) name() string { return a.title }
func (a about) team() string { return a.namespace }

// folder makes a folder for the shipper's files.
func (a about) folder() (string, error) {
	dir := filepath.Join(world.dir, a.title)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("%s: %w", a.title, err)
	}
	return dir, nil
}

// upTo are the numbers from 1 on.
func upTo(last int64) []int64 {
	numbers := make([]int64, 0, last)
	for number := int64(1); number <= last; number++ {
		numbers = append(numbers, number)
	}
	return numbers
}
