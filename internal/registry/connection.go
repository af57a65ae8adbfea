// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"strings"
	"time"
)

const (
	// settled is after how long a watch that was connected anew, and has neither ended
	// nor brought anything, counts as one that works: what it could not bring, such as an
	// object that cannot be decoded, ends it at once.
	settled = 2 * time.Second
	// maxCause bounds the text of an error where people read it.
	maxCause = 200
)

// connection is how the watch of one kind is: whether it is there, and if not, since
// when and why. A reflector that has lost its watch asks anew, so asking is the end of
// what was there.
type connection struct {
	// lostAt is when the watch was lost; zero while it works.
	lostAt time.Time
	// connectedAt is when the last answer was good; zero as long as there was none.
	connectedAt time.Time
	// cause is what the last answer was that was no good. It may quote what others wrote.
	cause string
}

func (c *connection) asks(now time.Time) {
	if c.lostAt.IsZero() || c.works(now) {
		c.lostAt, c.cause = now, "the watch ends as soon as it starts"
	}
	c.connectedAt = time.Time{}
}

func (c *connection) answered(now time.Time, err error) {
	if err == nil {
		c.connectedAt = now
		return
	}
	c.cause = err.Error()
	if len(c.cause) > maxCause {
		c.cause = strings.ToValidUTF8(c.cause[:maxCause], "")
	}
}

func (c *connection) brought() { *c = connection{} }

func (c *connection) works(now time.Time) bool {
	return !c.connectedAt.IsZero() && now.Sub(c.connectedAt) >= settled
}

// failure is for how long there has been no watch, and why; 0 if there is one.
func (c *connection) failure(now time.Time) (time.Duration, string) {
	if c.lostAt.IsZero() || c.works(now) {
		return 0, ""
	}
	return now.Sub(c.lostAt), c.cause
}
