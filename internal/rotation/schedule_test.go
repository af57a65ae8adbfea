// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests do not depend on the machine's

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func every(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

func weekend() *v1alpha1.RotationWindow {
	return &v1alpha1.RotationWindow{Schedule: "0 22 * * SAT,SUN", Duration: *every(6 * time.Hour), TimeZone: "Europe/Berlin"}
}

func TestNextTimeSpreadsKeys(t *testing.T) {
	spec := &v1alpha1.Rotation{Interval: every(100 * time.Hour)}
	seconds := map[int64]int{}
	earliest, latest := time.Duration(1<<62), time.Duration(0)
	for i := range 1000 {
		next, err := NextTime(replaced, time.Time{}, spec, Key{Seed: fmt.Sprintf("%036d", i), Activated: replaced}, 0)
		if err != nil {
			t.Fatal(err)
		}
		after := next.Sub(replaced)
		earliest, latest = min(earliest, after), max(latest, after)
		seconds[next.Unix()]++
	}
	if earliest < 90*time.Hour || latest > 100*time.Hour {
		t.Errorf("from %s to %s after, want within the last tenth of 100h", earliest, latest)
	}
	if latest-earliest < 9*time.Hour || len(seconds) < 950 {
		t.Errorf("1000 keys in %d different seconds between %s and %s", len(seconds), earliest, latest)
	}
	for second, keys := range seconds {
		if keys > 5 {
			t.Errorf("%d keys in the second %d", keys, second)
		}
	}
}

func TestNextTimeIsTheSameEachTime(t *testing.T) {
	spec := &v1alpha1.Rotation{Interval: every(time.Hour), Window: weekend()}
	key := Key{Seed: "a", Activated: replaced, Registered: replaced}
	first, err := NextTime(replaced, time.Time{}, spec, key, 1000*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := NextTime(replaced, time.Time{}, spec, key, 1000*time.Hour); !again.Equal(first) {
		t.Errorf("%s, and then %s", first, again)
	}
}

func TestNextTimeKeepsTheAgeThatIsPermitted(t *testing.T) {
	for name, test := range map[string]struct {
		spec              v1alpha1.Rotation
		maxAge            time.Duration
		earliest, latest  time.Duration
		registeredEarlier time.Duration
	}{
		"no rotation of its own":           {v1alpha1.Rotation{}, 1000 * time.Hour, 748 * time.Hour, 832 * time.Hour, 0},
		"an interval that is longer":       {v1alpha1.Rotation{Interval: every(5000 * time.Hour)}, 1000 * time.Hour, 748 * time.Hour, 832 * time.Hour, 0},
		"an interval that is shorter":      {v1alpha1.Rotation{Interval: every(100 * time.Hour)}, 1000 * time.Hour, 90 * time.Hour, 100 * time.Hour, 0},
		"an age shorter than two overlaps": {v1alpha1.Rotation{}, 10 * time.Hour, 4 * time.Hour, 5 * time.Hour, 0},
		"a window that opens too late": {
			v1alpha1.Rotation{Interval: every(10 * time.Hour), Window: weekend(), Overlap: v1alpha1.Overlap{Max: every(time.Hour)}},
			24 * time.Hour, 20 * time.Hour, 23 * time.Hour, 0},
		"a key that was undone": {v1alpha1.Rotation{Interval: every(5000 * time.Hour)}, 1000 * time.Hour, 648 * time.Hour, 732 * time.Hour, 100 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range 50 {
				key := Key{Seed: fmt.Sprint(i), Activated: replaced, Registered: replaced.Add(-test.registeredEarlier)}
				next, err := NextTime(replaced, time.Time{}, &test.spec, key, test.maxAge)
				if err != nil {
					t.Fatal(err)
				}
				if after := next.Sub(replaced); after < test.earliest || after > test.latest {
					t.Fatalf("after %s, want %s to %s", after, test.earliest, test.latest)
				}
			}
		})
	}
	if next, err := NextTime(replaced, time.Time{}, &v1alpha1.Rotation{}, Key{Registered: replaced, Activated: replaced}, 0); err != nil || !next.IsZero() {
		t.Errorf("without interval and age: %s, %v; want never", next, err)
	}
}

func TestNextTimeWaitsForTheWindow(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	date := func(month time.Month, day, hour, minute int) time.Time {
		return time.Date(2026, month, day, hour, minute, 0, 0, berlin)
	}
	weekdays := &v1alpha1.RotationWindow{Schedule: "0 9 * * 1,2", Duration: *every(8 * time.Hour), TimeZone: "Europe/Berlin"}
	for name, test := range map[string]struct {
		window   *v1alpha1.RotationWindow
		due      time.Time
		from, to time.Time
	}{
		"inside":                            {weekdays, date(time.March, 2, 10, 0), date(time.March, 2, 10, 0), date(time.March, 2, 10, 0)},
		"at its opening":                    {weekdays, date(time.March, 2, 9, 0), date(time.March, 2, 9, 0), date(time.March, 2, 9, 0)},
		"at its end":                        {weekdays, date(time.March, 2, 17, 0), date(time.March, 3, 9, 0), date(time.March, 3, 17, 0)},
		"on a Friday night":                 {weekdays, date(time.March, 6, 22, 0), date(time.March, 9, 9, 0), date(time.March, 9, 17, 0)},
		"before it on its day":              {weekdays, date(time.March, 2, 3, 0), date(time.March, 2, 9, 0), date(time.March, 2, 17, 0)},
		"past midnight":                     {weekend(), date(time.March, 9, 3, 59), date(time.March, 9, 3, 59), date(time.March, 9, 3, 59)},
		"past midnight, when it has closed": {weekend(), date(time.March, 9, 4, 0), date(time.March, 14, 22, 0), date(time.March, 15, 4, 0)},
		"on the day before":                 {weekend(), date(time.March, 7, 3, 0), date(time.March, 7, 22, 0), date(time.March, 8, 4, 0)},
		"over the change to summer time":    {weekend(), date(time.March, 28, 21, 0), date(time.March, 28, 22, 0), date(time.March, 29, 5, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			spec := &v1alpha1.Rotation{Interval: every(time.Hour), Window: test.window}
			for i := range 20 {
				seed := fmt.Sprint(i)
				early := time.Duration(spread * fractionOf(seed) * float64(time.Hour))
				next, err := NextTime(test.due.Add(-time.Second), time.Time{}, spec, Key{Seed: seed, Activated: test.due.Add(early - time.Hour)}, 0)
				if err != nil {
					t.Fatal(err)
				}
				if next.Before(test.from) || next.After(test.to) {
					t.Fatalf("%s, want from %s to %s", next.In(berlin), test.from, test.to)
				}
			}
		})
	}
}

// friday is a Friday night, after every window of the week.
var friday = time.Date(2026, time.March, 6, 22, 0, 0, 0, time.UTC)

// sweep follows what NextTime plans for a key, looking each minute, and returns when the
// key is replaced.
func sweep(t *testing.T, now time.Time, spec *v1alpha1.Rotation, key Key, maxAge time.Duration) time.Time {
	t.Helper()
	planned := time.Time{}
	for range 14 * 24 * 60 {
		next, err := NextTime(now, planned, spec, key, maxAge)
		if err != nil {
			t.Fatal(err)
		}
		if !next.After(now) {
			return now
		}
		planned = next.Truncate(time.Second)
		now = now.Add(min(time.Minute, next.Sub(now)))
	}
	t.Fatal("never")
	return now
}

func TestWhatIsOverdueIsSpreadAndKeepsTheWindow(t *testing.T) {
	weekdays := &v1alpha1.RotationWindow{Schedule: "0 9 * * MON-TUE", Duration: *every(8 * time.Hour)}
	monday := time.Date(2026, time.March, 9, 9, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		spec     v1alpha1.Rotation
		now      time.Time
		age      time.Duration
		maxAge   time.Duration
		from, to time.Time
	}{
		"without a window":               {v1alpha1.Rotation{Interval: every(720 * time.Hour)}, friday, 1440 * time.Hour, 0, friday, friday.Add(catchUp)},
		"on a Friday night":              {v1alpha1.Rotation{Interval: every(720 * time.Hour), Window: weekdays}, friday, 1440 * time.Hour, 0, monday, monday.Add(8 * time.Hour)},
		"past midnight":                  {v1alpha1.Rotation{Interval: every(720 * time.Hour), Window: weekend()}, friday, 1440 * time.Hour, 0, friday.Add(23 * time.Hour), friday.Add(29 * time.Hour)},
		"within the window":              {v1alpha1.Rotation{Interval: every(720 * time.Hour), Window: weekdays}, monday.Add(time.Hour), 1440 * time.Hour, 0, monday.Add(time.Hour), monday.Add(time.Hour + catchUp)},
		"at the end of the window":       {v1alpha1.Rotation{Interval: every(720 * time.Hour), Window: weekdays}, monday.Add(32*time.Hour - time.Second), 1440 * time.Hour, 0, monday.Add(32*time.Hour - time.Second), monday.Add(7*24*time.Hour + 8*time.Hour)},
		"near the age that is permitted": {v1alpha1.Rotation{Window: weekdays}, friday, 990 * time.Hour, 1000 * time.Hour, friday, friday.Add(catchUp)},
		"at the age that is permitted":   {v1alpha1.Rotation{Window: weekdays}, friday, 1000 * time.Hour, 1000 * time.Hour, friday, friday},
		"a minute before that age":       {v1alpha1.Rotation{}, friday, 1000*time.Hour - time.Minute, 1000 * time.Hour, friday, friday.Add(time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			times := map[int64]int{}
			first, last := test.to, test.from
			for i := range 60 {
				born := test.now.Add(-test.age)
				at := sweep(t, test.now, &test.spec, Key{Seed: fmt.Sprint(i), Activated: born, Registered: born}, test.maxAge)
				if at.Before(test.from) || at.After(test.to) {
					t.Fatalf("replaced at %s, want from %s to %s", at, test.from, test.to)
				}
				times[at.Unix()]++
				if at.Before(first) {
					first = at
				}
				if at.After(last) {
					last = at
				}
			}
			if whole := min(test.to.Sub(test.from), 8*time.Hour); last.Sub(first) < whole/2 {
				t.Errorf("all between %s and %s", first, last)
			}
			if test.to.Sub(test.from) >= catchUp && len(times) < 40 {
				t.Errorf("60 keys in %d different seconds", len(times))
			}
		})
	}
}

func TestAManagerThatWasAwayKeepsTheWindow(t *testing.T) {
	weekdays := &v1alpha1.RotationWindow{Schedule: "0 9 * * MON", Duration: *every(8 * time.Hour)}
	spec := &v1alpha1.Rotation{Interval: every(100 * time.Hour), Window: weekdays}
	// It was away then.
	planned := time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)
	next, err := NextTime(friday, planned, spec, Key{Seed: "a", Activated: planned.Add(-100 * time.Hour)}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if next.Weekday() != time.Monday || next.Before(friday) {
		t.Errorf("replaced at %s, want in the next window", next)
	}
}

func TestAWindowThatCannotBeReadDoesNotStopRotation(t *testing.T) {
	hour := *every(time.Hour)
	for want, windows := range map[string][]v1alpha1.RotationWindow{
		"time zone database": {
			{Schedule: "0 9 * * *", Duration: hour, TimeZone: "Mars/Olympus"},
			{Schedule: "0 9 * * *", Duration: hour, TimeZone: "Local"},
			{Schedule: "0 9 * * *", Duration: hour, TimeZone: "../etc/passwd"},
		},
		"schedule": {
			{Duration: hour},
			{Schedule: "0 9 * *", Duration: hour},
			{Schedule: "0 9 * * MON-FUN", Duration: hour},
			{Schedule: "60 9 * * *", Duration: hour},
			{Schedule: "TZ=", Duration: hour},
			{Schedule: "CRON_TZ=UTC 0 9 * * *", Duration: hour},
		},
		"never opens": {
			{Schedule: "0 9 30 2 *", Duration: hour},
			{Schedule: "0 9 * * *"},
		},
	} {
		for _, w := range windows {
			spec := &v1alpha1.Rotation{Interval: every(time.Hour), Window: &w}
			next, err := NextTime(replaced, time.Time{}, spec, Key{Activated: replaced}, 0)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: got %v, want an error with %q", w, err, want)
			}
			if next.IsZero() || next.Sub(replaced) > time.Hour {
				t.Errorf("%+v: next is %s", w, next)
			}
		}
	}
}

// A window that is as long as the time between its openings is always open.
func TestAWindowThatNeverCloses(t *testing.T) {
	w, err := newWindow(&v1alpha1.RotationWindow{Schedule: "0 0 * * *", Duration: *every(24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for minute := range 48 * 60 {
		if due := friday.Add(time.Duration(minute) * time.Minute); !w.place(due, 0.5).Equal(due) {
			t.Fatalf("closed at %s", due)
		}
	}
}

func TestOverlapDefaults(t *testing.T) {
	for name, test := range map[string]struct {
		overlap v1alpha1.Overlap
		want    Bounds
	}{
		"all":                 {v1alpha1.Overlap{}, Bounds{15 * time.Minute, 25 * time.Hour, 168 * time.Hour}},
		"a max below the min": {v1alpha1.Overlap{Max: every(time.Minute)}, Bounds{time.Minute, 25 * time.Hour, time.Minute}},
		"none":                {v1alpha1.Overlap{Min: every(0), Idle: every(0), Max: every(0)}, Bounds{}},
		"of its own":          {v1alpha1.Overlap{Min: every(1), Idle: every(2), Max: every(3)}, Bounds{1, 2, 3}},
	} {
		if got := OverlapOf(&v1alpha1.Rotation{Overlap: test.overlap}); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

func TestNext(t *testing.T) {
	day, month := 24*time.Hour, 30*24*time.Hour
	registered := time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)
	key := Key{Registered: registered, Activated: registered}
	interval := func(d time.Duration) v1alpha1.Rotation {
		return v1alpha1.Rotation{Interval: &metav1.Duration{Duration: d}}
	}
	after := func(spec v1alpha1.Rotation, d time.Duration) v1alpha1.Rotation {
		spec.RotateAfter = &metav1.Time{Time: registered.Add(d)}
		return spec
	}
	for name, test := range map[string]struct {
		spec   v1alpha1.Rotation
		maxAge time.Duration
		pinned bool
		// due is how long after the registration, at most: less is taken off. 0 is never.
		due time.Duration
		why v1alpha1.MintReason
		// atOnce: it is due at the registration.
		atOnce bool
	}{
		"nothing is asked for":                        {},
		"an interval":                                 {spec: interval(month), due: month, why: v1alpha1.MintInterval},
		"an interval of a pinned key":                 {spec: interval(month), pinned: true},
		"a key age":                                   {maxAge: month, due: month, why: v1alpha1.MintMaxKeyAge},
		"a key age of a pinned key":                   {maxAge: month, pinned: true, due: month, why: v1alpha1.MintMaxKeyAge},
		"an interval before a key age":                {spec: interval(day), maxAge: month, due: day, why: v1alpha1.MintInterval},
		"a time that lies ahead":                      {spec: after(v1alpha1.Rotation{}, day), due: day, why: v1alpha1.MintRotateAfter},
		"such a time for a pinned key":                {spec: after(v1alpha1.Rotation{}, day), pinned: true},
		"a time before the interval":                  {spec: after(interval(month), day), due: day, why: v1alpha1.MintRotateAfter},
		"a time after the interval":                   {spec: after(interval(day), month), due: day, why: v1alpha1.MintInterval},
		"a time at which the key was registered":      {spec: after(interval(month), 0), atOnce: true},
		"a time in the second of the registration":    {spec: after(interval(month), time.Second-1), atOnce: true},
		"a time in the second after the registration": {spec: after(interval(month), time.Second), due: time.Second, why: v1alpha1.MintRotateAfter},
		"a time before the registration":              {spec: after(interval(month), -day), due: month, why: v1alpha1.MintInterval},
	} {
		t.Run(name, func(t *testing.T) {
			at, why, err := Next(registered, time.Time{}, &test.spec, key, test.maxAge, test.pinned)
			if err != nil {
				t.Fatal(err)
			}
			if test.atOnce {
				if !at.Equal(registered) || why != v1alpha1.MintRotateAfter {
					t.Errorf("due at %s, %s; want at once", at, why)
				}
				return
			}
			if test.due == 0 {
				if !at.IsZero() {
					t.Errorf("due at %s, %s; want never", at, why)
				}
				return
			}
			if due := at.Sub(registered); why != test.why || due > test.due || due <= 0 || why == v1alpha1.MintRotateAfter && due != test.due {
				t.Errorf("due after %s, %s; want %s, %s", due, why, test.due, test.why)
			}
		})
	}
}

// A key that is minted for a rotateAfter, or beside one that has come, is not replaced for it.
func TestNoKeyIsReplacedForATimeThatHadCome(t *testing.T) {
	now := time.Date(2026, 3, 4, 10, 0, 0, 900_000_000, time.UTC)
	for _, after := range []time.Duration{-time.Hour, -900 * time.Millisecond, -time.Millisecond, 0, time.Millisecond, time.Second, time.Hour} {
		spec := v1alpha1.Rotation{RotateAfter: &metav1.Time{Time: now.Add(after)}}
		registered := RegisteredAt(now, &spec)
		if registered.Nanosecond() != 0 || registered.Sub(now) > time.Second || now.Sub(registered) >= time.Second {
			t.Errorf("a time in %s: registered at %s", after, registered)
		}
		at, why, err := Next(now, time.Time{}, &spec, Key{Registered: registered, Activated: registered}, 0, false)
		if err != nil || at.IsZero() != (after <= 0) {
			t.Errorf("a time in %s: due at %s, %s, %v", after, at, why, err)
		}
	}
	if got := RegisteredAt(now, &v1alpha1.Rotation{}); !got.Equal(now.Truncate(time.Second)) {
		t.Errorf("without a time: registered at %s", got)
	}
}

func TestTooOld(t *testing.T) {
	registered := time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)
	key, spec := Key{Registered: registered}, &v1alpha1.Rotation{Overlap: v1alpha1.Overlap{Max: &metav1.Duration{Duration: time.Hour}}}
	due := dueForAge(spec, key, 24*time.Hour)
	for name, test := range map[string]struct {
		now    time.Time
		maxAge time.Duration
		want   bool
	}{
		"at no age":        {due.Add(1000 * time.Hour), 0, false},
		"before it is due": {due.Add(-1), 24 * time.Hour, false},
		"when it is due":   {due, 24 * time.Hour, true},
	} {
		if got := TooOld(test.now, spec, key, test.maxAge); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// Whatever is stored, a window is read or refused, and has a place for each time.
func FuzzWindow(f *testing.F) {
	for _, schedule := range []string{"0 9 * * MON-THU", "*/5 0-3,5 1 JAN ?", "@every 1h", "TZ=", "0 9 30 2 *", "9223372036854775807 * * * *", "*/9223372036854775807 * * * *"} {
		f.Add(schedule, int64(time.Hour), "Europe/Berlin", int64(0))
	}
	f.Fuzz(func(t *testing.T, schedule string, duration int64, zone string, second int64) {
		due := friday.Add(time.Duration(second%(10*366*24*3600)) * time.Second)
		spec := &v1alpha1.RotationWindow{Schedule: schedule, Duration: metav1.Duration{Duration: time.Duration(duration % int64(744*time.Hour))}, TimeZone: zone}
		w, err := newWindow(spec)
		if err != nil {
			return
		}
		if at := w.place(due, 0.5); at.Before(due) {
			t.Errorf("%+v: %s is before %s", spec, at, due)
		}
	})
}
