// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"io"

	"github.com/hexcovery/apikey-operator/hack/stack"
	"github.com/hexcovery/apikey-operator/test/mutation"
)

const (
	// root is the repository's.
	root = "../.."
	// shiftVariable tells an auth server that was built with shiftedClock by how much
	// its clock is wrong, as a Go duration.
	shiftVariable = "HEXCOVERY_TEST_CLOCK_SHIFT"
)

// shiftedClock gives the registry a clock that is wrong. The product has no switch for
// that.
func shiftedClock() []mutation.Mutation {
	const main = "cmd/authserver/main.go"
	return []mutation.Mutation{
		{
			Name: "shifted clock: use", File: main,
			Old: "		Clock:        clock.RealClock{},\n		Log:          ctrl.Log.WithName(\"registry\"),\n",
			New: "		Clock:        shiftedClock{},\n		Log:          ctrl.Log.WithName(\"registry\"),\n",
		},
		{
			Name: "shifted clock: type", File: main,
			Old: "func main() {\n",
			New: `type shiftedClock struct{ clock.RealClock }

func (shiftedClock) Now() time.Time {
	shift, err := time.ParseDuration(os.Getenv("` + shiftVariable + `"))
	if err != nil {
		panic(err)
	}
	return time.Now().Add(shift)
}

func (c shiftedClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func main() {
`,
		},
		{Name: "shifted clock: import", File: main, Old: "	\"os\"\n", New: "	\"os\"\n	\"time\"\n"},
	}
}

// build builds the product with changes, into a folder of its own.
func build(ctx context.Context, log io.Writer, dir string, changes ...mutation.Mutation) (stack.Programs, error) {
	overlay, err := mutation.Overlay(root, dir, changes...)
	if err != nil {
		return stack.Programs{}, err
	}
	return stack.Build(ctx, log, dir, "-overlay", overlay)
}
