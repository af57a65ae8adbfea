// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestConnection(t *testing.T) {
	refused := errors.New("refused")
	type at = time.Duration
	type step struct {
		at at
		do func(*connection, time.Time)
	}
	asks := func(c *connection, now time.Time) { c.asks(now) }
	connected := func(c *connection, now time.Time) { c.answered(now, nil) }
	fails := func(c *connection, now time.Time) { c.answered(now, refused) }
	brings := func(c *connection, _ time.Time) { c.brought() }
	const s = time.Second
	for name, test := range map[string]struct {
		steps []step
		when  at
		want  time.Duration
		cause string
	}{
		"nothing has happened":                    {nil, 9 * s, 0, ""},
		"it waits for the first answer":           {[]step{{1 * s, asks}}, 9 * s, 8 * s, "the watch ends as soon as it starts"},
		"it is refused again and again":           {[]step{{1 * s, asks}, {1 * s, fails}, {2 * s, asks}, {2 * s, fails}}, 9 * s, 8 * s, "refused"},
		"it is connected, and idle":               {[]step{{1 * s, asks}, {2 * s, connected}}, 9 * s, 0, ""},
		"it is connected a moment ago":            {[]step{{1 * s, asks}, {8 * s, connected}}, 9 * s, 8 * s, "the watch ends as soon as it starts"},
		"it is connected, and brings something":   {[]step{{1 * s, asks}, {8 * s, connected}, {8 * s, brings}}, 9 * s, 0, ""},
		"it ends as soon as it begins":            {[]step{{1 * s, asks}, {1 * s, connected}, {2 * s, asks}, {2 * s, connected}, {3 * s, asks}, {3 * s, connected}}, 4 * s, 3 * s, "the watch ends as soon as it starts"},
		"it ends after a while, and is refused":   {[]step{{1 * s, asks}, {1 * s, connected}, {6 * s, asks}, {7 * s, fails}}, 9 * s, 3 * s, "refused"},
		"it ends after a while, and is connected": {[]step{{1 * s, asks}, {1 * s, connected}, {6 * s, asks}, {6 * s, connected}}, 9 * s, 0, ""},
		"it lists well, and can never watch": {
			[]step{{1 * s, asks}, {1 * s, connected}, {1 * s, brings}, {1 * s, asks}, {2 * s, fails}, {3 * s, asks}, {3 * s, connected}, {3 * s, brings}, {3 * s, asks}, {4 * s, fails}},
			5 * s, 2 * s, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &connection{}
			for _, step := range test.steps {
				step.do(c, epoch.Add(step.at))
			}
			if got, cause := c.failure(epoch.Add(test.when)); got != test.want || cause != test.cause {
				t.Errorf("got %s, %q, want %s, %q", got, cause, test.want, test.cause)
			}
		})
	}
}

func TestTheCauseOfAFailureIsBounded(t *testing.T) {
	c := &connection{}
	c.asks(epoch)
	c.answered(epoch, errors.New(strings.Repeat("é", maxCause)))
	if _, cause := c.failure(epoch.Add(time.Second)); len(cause) > maxCause || strings.Trim(cause, "é") != "" {
		t.Errorf("got %d bytes: %q", len(cause), cause)
	}
}
