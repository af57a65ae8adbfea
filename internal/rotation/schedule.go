// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

const (
	// spread is the part of the interval that is taken off, at most, so that keys which
	// were made together are not replaced together.
	spread = 0.1
	// catchUp is within how long keys are replaced that turn out to be overdue, as when
	// an interval is given to many that are older.
	catchUp = 10 * time.Minute
	// ageReserve is the part of maxKeyAge that is left for the overlap, at most.
	ageReserve = 0.5
)

// Key is what a schedule knows of a key.
type Key struct {
	// Seed tells one key from the next: it decides how much of the interval is taken
	// off.
	Seed string
	// Registered is when its hash was: what maxKeyAge counts from.
	Registered time.Time
	// Activated is when it came into the Secret: what the interval counts from.
	Activated time.Time
}

// RegisteredAt is the time that a key is registered with which is minted at now: now, in
// whole seconds as it is stored, but after a rotateAfter that has come, which is not to
// replace it. So it may be a second ahead.
func RegisteredAt(now time.Time, spec *v1alpha1.Rotation) time.Time {
	registered := now.Truncate(time.Second)
	if spec.RotateAfter == nil || now.Before(spec.RotateAfter.Time) {
		return registered
	}
	if after := spec.RotateAfter.Truncate(time.Second); !registered.After(after) {
		return after.Add(time.Second)
	}
	return registered
}

// NextTime returns when key is to be replaced for its age, zero for never; a time that is
// not after now means now. maxAge is the organization's maxKeyAge, 0 for none: the key is
// replaced so long before that its overlap.max fits, and if need be outside of the
// window. planned is what was returned before, zero for nothing: what is overdue without
// having been planned gets a time in the next minutes, a different one for each key. An
// error says what is wrong with the window; the time is then as if it were always open.
func NextTime(now, planned time.Time, spec *v1alpha1.Rotation, key Key, maxAge time.Duration) (time.Time, error) {
	fraction := fractionOf(key.Seed)
	w, err := newWindow(spec.Window)
	var next time.Time
	if spec.Interval != nil {
		interval := spec.Interval.Duration
		interval -= time.Duration(spread * fraction * float64(interval))
		next = w.next(now, planned, key.Activated.Add(interval), fraction)
	}
	if maxAge <= 0 {
		return next, err
	}
	latest := window{}.next(now, planned, dueForAge(spec, key, maxAge), fraction)
	if end := key.Registered.Add(maxAge); end.Before(latest) {
		latest = end
	}
	if next.IsZero() || latest.Before(next) {
		next = latest
	}
	return next, err
}

// dueForAge is when key comes due so that its overlap.max fits before maxAge.
func dueForAge(spec *v1alpha1.Rotation, key Key, maxAge time.Duration) time.Time {
	reserve := min(OverlapOf(spec).Max, time.Duration(ageReserve*float64(maxAge)))
	reserve += time.Duration(spread * fractionOf(key.Seed) * float64(maxAge-reserve))
	return key.Registered.Add(maxAge - reserve)
}

// TooOld reports whether key would be replaced at once if it were the current one, because
// of maxAge; 0 for none.
func TooOld(now time.Time, spec *v1alpha1.Rotation, key Key, maxAge time.Duration) bool {
	return maxAge > 0 && !now.Before(dueForAge(spec, key, maxAge))
}

// Next returns when key is to be replaced, and why: NextTime, or spec.rotateAfter if that
// comes before. One that is pinned is replaced for maxAge only.
func Next(now, planned time.Time, spec *v1alpha1.Rotation, key Key, maxAge time.Duration, pinned bool) (at time.Time, why v1alpha1.MintReason, err error) {
	if pinned {
		spec = &v1alpha1.Rotation{Overlap: spec.Overlap}
	}
	byInterval, err := NextTime(now, planned, spec, key, 0)
	// The error is the same.
	at, _ = NextTime(now, planned, spec, key, maxAge)
	why = v1alpha1.MintMaxKeyAge
	if at.Equal(byInterval) {
		why = v1alpha1.MintInterval
	}
	if spec.RotateAfter == nil {
		return at, why, err
	}
	if after := spec.RotateAfter.Truncate(time.Second); !key.Registered.After(after) && (at.IsZero() || after.Before(at)) {
		at, why = after, v1alpha1.MintRotateAfter
	}
	return at, why, err
}

// next returns when what comes due at due is to be done.
func (w window) next(now, planned, due time.Time, fraction float64) time.Time {
	at := w.place(due, fraction)
	switch {
	case at.After(now):
		return at
	case !planned.IsZero() && !planned.After(now):
		// It is time, unless the window has closed since.
		return w.place(now, fraction)
	case planned.After(now) && planned.Sub(w.place(now, 0)) <= max(catchUp, w.duration):
		return w.place(planned, fraction)
	}
	return w.place(now.Add(time.Duration(fraction*float64(catchUp))), fraction)
}

// fractionOf returns a number in [0, 1) that is always the same for a seed.
func fractionOf(seed string) float64 {
	sum := sha256.Sum256([]byte(seed))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
}

// Bounds are an Overlap with its defaults.
type Bounds struct{ Min, Idle, Max time.Duration }

// defaultOverlap is what v1alpha1.Overlap says.
var defaultOverlap = Bounds{Min: 15 * time.Minute, Idle: 25 * time.Hour, Max: 168 * time.Hour}

// OverlapOf returns the overlap of spec, with the defaults in place. min gives way to
// max where a default would be the longer.
func OverlapOf(spec *v1alpha1.Rotation) Bounds {
	b := defaultOverlap
	if d := spec.Overlap.Max; d != nil {
		b.Max = d.Duration
	}
	if d := spec.Overlap.Idle; d != nil {
		b.Idle = d.Duration
	}
	if d := spec.Overlap.Min; d != nil {
		b.Min = d.Duration
	}
	b.Min = min(b.Min, b.Max)
	return b
}
