// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

type revision string

func (r *revision) LastSyncResourceVersion() string { return string(*r) }

func TestWatchHealth(t *testing.T) {
	broken := errors.New("connection refused")
	for name, row := range map[string]struct {
		do      func(h *watchHealth, r *revision, clock *testingclock.FakeClock)
		failing time.Duration
	}{
		"never failed": {func(*watchHealth, *revision, *testingclock.FakeClock) {}, 0},
		"ended as ever": {func(h *watchHealth, r *revision, clock *testingclock.FakeClock) {
			h.failed("Secret", r, io.EOF)
			clock.Step(time.Minute)
		}, 0},
		"failed once": {func(h *watchHealth, r *revision, clock *testingclock.FakeClock) {
			h.failed("Secret", r, broken)
			clock.Step(40 * time.Second)
		}, 40 * time.Second},
		"goes on failing": {func(h *watchHealth, r *revision, clock *testingclock.FakeClock) {
			for range 20 {
				h.failed("Secret", r, broken)
				clock.Step(30 * time.Second)
			}
		}, 10 * time.Minute},
		"another kind": {func(h *watchHealth, r *revision, clock *testingclock.FakeClock) {
			h.failed("APIKey", r, broken)
			clock.Step(time.Minute)
		}, 0},
		"brought something": {func(h *watchHealth, r *revision, clock *testingclock.FakeClock) {
			h.failed("Secret", r, broken)
			clock.Step(time.Minute)
			*r = "8"
		}, 0},
		"brought something, and failed again": {func(h *watchHealth, r *revision, clock *testingclock.FakeClock) {
			h.failed("Secret", r, broken)
			clock.Step(time.Minute)
			*r = "8"
			h.failed("Secret", r, broken)
			clock.Step(time.Second)
		}, time.Second},
		"calm since": {func(h *watchHealth, r *revision, clock *testingclock.FakeClock) {
			h.failed("Secret", r, broken)
			clock.Step(watchCalm + time.Second)
		}, 0},
		"calm, and failed again": {func(h *watchHealth, r *revision, clock *testingclock.FakeClock) {
			h.failed("Secret", r, broken)
			clock.Step(watchCalm + time.Second)
			h.failed("Secret", r, broken)
			clock.Step(time.Second)
		}, time.Second},
		"a reflector that was made anew": {func(h *watchHealth, r *revision, clock *testingclock.FakeClock) {
			h.failed("Secret", r, broken)
			clock.Step(time.Minute)
			again := *r
			h.failed("Secret", &again, broken)
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			clock, at := testingclock.NewFakeClock(noon), revision("7")
			h := newWatchHealth(clock)
			row.do(h, &at, clock)
			if got := h.failingFor("Secret"); got != row.failing {
				t.Errorf("has failed for %s, want %s", got, row.failing)
			}
		})
	}
}

func TestReadinessNamesTheWatch(t *testing.T) {
	clock, at := testingclock.NewFakeClock(noon), revision("7")
	h := newWatchHealth(clock)
	ready := h.check("APIKey", DefaultWatchBound)
	h.failed("APIKey", &at, errors.New("refused"))
	clock.Step(DefaultWatchBound)
	if err := ready(nil); err != nil {
		t.Errorf("not ready at the bound: %v", err)
	}
	clock.Step(time.Second)
	if err := ready(nil); err == nil || !strings.Contains(err.Error(), "the watch of APIKey has failed for 31s") {
		t.Errorf("ready after the bound: %v", err)
	}
	if err := h.check("Secret", DefaultWatchBound)(nil); err != nil {
		t.Errorf("not ready for another kind: %v", err)
	}
}
