// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// window is when keys may be replaced for their age. The zero window is always open.
type window struct {
	schedule cron.Schedule
	duration time.Duration
	location *time.Location
}

// newWindow reads spec. An error names what cannot be read.
func newWindow(spec *v1alpha1.RotationWindow) (window, error) {
	if spec == nil {
		return window{}, nil
	}
	w := window{location: time.UTC, duration: spec.Duration.Duration}
	if spec.TimeZone != "" {
		location, err := time.LoadLocation(spec.TimeZone)
		if err != nil || spec.TimeZone == "Local" {
			return window{}, fmt.Errorf("timeZone %q is not in the time zone database: use a name as Europe/Berlin", spec.TimeZone)
		}
		w.location = location
	}
	// The schema lets none through; the parser would panic on "TZ=".
	if strings.Contains(spec.Schedule, "=") {
		return window{}, fmt.Errorf("schedule %q has a time zone: write it as timeZone", spec.Schedule)
	}
	schedule, err := cron.ParseStandard(spec.Schedule)
	if err != nil {
		return window{}, fmt.Errorf("schedule %q: %w", spec.Schedule, err)
	}
	if schedule.Next(time.Unix(0, 0)).IsZero() || w.duration <= 0 {
		return window{}, fmt.Errorf("schedule %q never opens for a duration of %s", spec.Schedule, w.duration)
	}
	w.schedule = schedule
	return w, nil
}

// place returns the first time, not before due, at which the window is open. Where it
// has to open first the time is so far into it as fraction, in [0, 1), says, so that
// what has gathered before it does not happen in the same second.
func (w window) place(due time.Time, fraction float64) time.Time {
	if w.schedule == nil {
		return due
	}
	// The first opening that has not closed by then.
	opens := w.schedule.Next(due.Add(-w.duration).In(w.location))
	if opens.IsZero() || !opens.After(due) {
		return due
	}
	return opens.Add(time.Duration(fraction * float64(w.duration))).In(due.Location())
}
