// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"fmt"
	"slices"
	"time"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// window is when keys may be replaced for their age. The zero window is always open.
type window struct {
	days []time.Weekday
	// start and end are minutes of a day.
	start, end int
	location   *time.Location
}

var weekdays = map[v1alpha1.Weekday]time.Weekday{
	"Sunday": time.Sunday, "Monday": time.Monday, "Tuesday": time.Tuesday, "Wednesday": time.Wednesday,
	"Thursday": time.Thursday, "Friday": time.Friday, "Saturday": time.Saturday,
}

// newWindow reads spec. An error names what cannot be read.
func newWindow(spec *v1alpha1.RotationWindow) (window, error) {
	if spec == nil {
		return window{}, nil
	}
	w := window{location: time.UTC}
	if spec.TimeZone != "" {
		location, err := time.LoadLocation(spec.TimeZone)
		if err != nil || spec.TimeZone == "Local" {
			return window{}, fmt.Errorf("timeZone %q is not in the time zone database: use a name as Europe/Berlin", spec.TimeZone)
		}
		w.location = location
	}
	for _, name := range spec.Days {
		day, ok := weekdays[name]
		if !ok {
			return window{}, fmt.Errorf("there is no day %q", name)
		}
		w.days = append(w.days, day)
	}
	var err error
	if w.start, err = minutes(spec.Start); err != nil {
		return window{}, fmt.Errorf("start: %w", err)
	}
	if w.end, err = minutes(spec.End); err != nil {
		return window{}, fmt.Errorf("end: %w", err)
	}
	if len(w.days) == 0 || w.start == w.end {
		return window{}, fmt.Errorf("it never opens")
	}
	return w, nil
}

func minutes(text string) (int, error) {
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time of day as 09:00", text)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// length is how long the window is open, but for a change of the clocks; 0 if it is
// always open.
func (w window) length() time.Duration {
	minutes := w.end - w.start
	if minutes < 0 {
		minutes += 24 * 60
	}
	return time.Duration(minutes) * time.Minute
}

// place returns the first time, not before due, at which the window is open. Where it
// has to open first the time is so far into it as fraction, in [0, 1), says, so that
// what has gathered before it does not happen in the same second.
func (w window) place(due time.Time, fraction float64) time.Time {
	if len(w.days) == 0 {
		return due
	}
	local := due.In(w.location)
	// A day before, for a window that is open past midnight, and a week and a day on.
	for offset := -1; offset <= 8; offset++ {
		day := local.Day() + offset
		opens := time.Date(local.Year(), local.Month(), day, 0, w.start, 0, 0, w.location)
		if !slices.Contains(w.days, time.Date(local.Year(), local.Month(), day, 12, 0, 0, 0, w.location).Weekday()) {
			continue
		}
		if w.end <= w.start {
			day++
		}
		closes := time.Date(local.Year(), local.Month(), day, 0, w.end, 0, 0, w.location)
		switch {
		case !due.Before(closes):
		case due.Before(opens):
			return opens.Add(time.Duration(fraction * float64(closes.Sub(opens)))).In(due.Location())
		default:
			return due
		}
	}
	// Only a day that a time zone leaves out, once in a century, brings us here: a
	// rotation outside of the window is better than none.
	return due
}
