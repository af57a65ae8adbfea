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
	return &v1alpha1.RotationWindow{Days: []v1alpha1.Weekday{"Saturday", "Sunday"}, Start: "22:00", End: "04:00", TimeZone: "Europe/Berlin"}
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
	weekdays := &v1alpha1.RotationWindow{Days: []v1alpha1.Weekday{"Monday", "Tuesday"}, Start: "09:00", End: "17:00", TimeZone: "Europe/Berlin"}
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
		"over the change to summer time":    {weekend(), date(time.March, 28, 21, 0), date(time.March, 28, 22, 0), date(time.March, 29, 4, 0)},
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
	weekdays := &v1alpha1.RotationWindow{Days: []v1alpha1.Weekday{"Monday", "Tuesday"}, Start: "09:00", End: "17:00"}
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
	weekdays := &v1alpha1.RotationWindow{Days: []v1alpha1.Weekday{"Monday"}, Start: "09:00", End: "17:00"}
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
	for zone, want := range map[string]string{"Mars/Olympus": "time zone database", "Local": "time zone database", "../etc/passwd": "time zone database"} {
		spec := &v1alpha1.Rotation{Interval: every(time.Hour), Window: weekend()}
		spec.Window.TimeZone = zone
		next, err := NextTime(replaced, time.Time{}, spec, Key{Activated: replaced}, 0)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", zone, err, want)
		}
		if next.IsZero() || next.Sub(replaced) > time.Hour {
			t.Errorf("%s: next is %s", zone, next)
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
		"none":                {v1alpha1.Overlap{Min: every(0), Quiet: every(0), Max: every(0)}, Bounds{}},
		"of its own":          {v1alpha1.Overlap{Min: every(1), Quiet: every(2), Max: every(3)}, Bounds{1, 2, 3}},
	} {
		if got := OverlapOf(&v1alpha1.Rotation{Overlap: test.overlap}); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}
