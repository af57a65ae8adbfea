// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import "context"

// surveyShared is how old a survey may be that serves those who ask later: with
// thousands of APIKeys waiting for a replica that is silent, there are still no
// more than a few lists a second.
const surveyShared = Patience / 4

// rollCall makes one list at a time, and shares its answer among those who ask for
// it meanwhile.
type rollCall struct {
	// turn has one place; who is in it may use last.
	turn chan struct{}
	last *Survey
}

func newRollCall() rollCall {
	return rollCall{turn: make(chan struct{}, 1), last: &Survey{}}
}

// share returns the last answer if it is usable, or a new one.
func (c *rollCall) share(ctx context.Context, usable func(last Survey) bool, list func() (Survey, error)) (Survey, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return Survey{}, context.Cause(ctx)
	}
	defer func() { <-c.turn }()
	if !c.last.asked.IsZero() && usable(*c.last) {
		return *c.last, nil
	}
	answer, err := list()
	if err == nil {
		*c.last = answer
	}
	return answer, err
}
