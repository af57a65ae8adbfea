// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const ms = time.Millisecond

// stalling is a server that answers at once, but for a time in which it answers nobody.
type stalling struct{ from, to time.Time }

func stallsFor(after, lasts time.Duration) stalling {
	from := time.Now().Add(after)
	return stalling{from: from, to: from.Add(lasts)}
}

func (s stalling) answer() {
	if now := time.Now(); !now.Before(s.from) && now.Before(s.to) {
		<-time.After(s.to.Sub(now))
	}
}

// TestAStallIsSeenByAllThatWereDue has 100 requests, one each 10 ms, and a server that
// stalls from the 300th to the 700th millisecond: 40 are due meanwhile, and wait for
// 400, 390, … 10 ms, whether they are sent meanwhile or held back.
func TestAStallIsSeenByAllThatWereDue(t *testing.T) {
	for name, atOnce := range map[string]int{"any number at once": 0, "one at a time": 1, "three at a time": 3} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := stallsFor(300*ms, 400*ms)
				var underWay atomic.Int64
				latencies, err := Load{PerSecond: 100, Lasts: time.Second, AtOnce: atOnce, Send: func(int, time.Time) error {
					defer underWay.Add(-1)
					if now := underWay.Add(1); atOnce > 0 && now > int64(atOnce) {
						t.Errorf("%d are under way", now)
					}
					server.answer()
					return nil
				}}.Run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				expectStall(t, latencies, 100, 40)
			})
		})
	}
}

// TestAStallThatOutlastsTheLoadIsSeen has the server answer again after the last request
// was due.
func TestAStallThatOutlastsTheLoadIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := stallsFor(500*ms, 500*ms)
		latencies, err := Load{PerSecond: 100, Lasts: time.Second, AtOnce: 1, Send: func(int, time.Time) error {
			server.answer()
			return nil
		}}.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		expectStall(t, latencies, 100, 50)
	})
}

// expectStall checks that of all requests so many have waited, 10 ms longer each than the next.
func expectStall(t *testing.T, latencies Latencies, all, waited int) {
	t.Helper()
	if len(latencies) != all {
		t.Fatalf("%d requests, want %d", len(latencies), all)
	}
	for i, latency := range latencies {
		want := max(0, time.Duration(i-(all-waited)+1)*10*ms)
		if latency != want {
			t.Errorf("number %d of %d took %s, want %s", i+1, all, latency, want)
		}
	}
}

// TestOneAtATimeNeedsNoLock is for the race detector.
func TestOneAtATimeNeedsNoLock(t *testing.T) {
	sent := 0
	_, err := Load{PerSecond: 10_000, Lasts: 50 * ms, AtOnce: 1, Send: func(n int, _ time.Time) error {
		if n != sent {
			t.Errorf("number %d is sent as number %d", n, sent)
		}
		sent++
		return nil
	}}.Run(t.Context())
	if err != nil || sent != 500 {
		t.Errorf("%v after %d requests", err, sent)
	}
}

func TestRequestsAreSentWhenTheyAreDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		sent := map[int]time.Duration{}
		_, err := Load{PerSecond: 4, Lasts: 2 * time.Second, Send: func(n int, due time.Time) error {
			if !due.Equal(time.Now()) {
				t.Errorf("number %d is sent at %s, and was due at %s", n, time.Now(), due)
			}
			mu.Lock()
			defer mu.Unlock()
			sent[n] = time.Since(began)
			return nil
		}}.Run(t.Context())
		if err != nil || len(sent) != 8 {
			t.Fatalf("%v, %v", sent, err)
		}
		for n, after := range sent {
			if want := time.Duration(n) * 250 * ms; after != want {
				t.Errorf("number %d is sent after %s, want %s", n, after, want)
			}
		}
	})
}

func TestAnErrorEndsTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		began := time.Now()
		var answered atomic.Int64
		_, err := Load{PerSecond: 10, Lasts: time.Hour, Send: func(n int, _ time.Time) error {
			if n == 5 {
				return refused
			}
			<-time.After(time.Second)
			answered.Add(1)
			return nil
		}}.Run(t.Context())
		if !errors.Is(err, refused) || answered.Load() != 5 || time.Since(began) != 1400*ms {
			t.Errorf("%v after %s, when %d were answered", err, time.Since(began), answered.Load())
		}
	})
}

func TestALoadEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		interrupted := errors.New("interrupted")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 350*ms, interrupted)
		defer cancel()
		began := time.Now()
		var answered atomic.Int64
		_, err := Load{PerSecond: 10, Lasts: time.Hour, Send: func(int, time.Time) error {
			<-time.After(time.Second)
			answered.Add(1)
			return nil
		}}.Run(ctx)
		if !errors.Is(err, interrupted) || answered.Load() != 4 || time.Since(began) != 1300*ms {
			t.Errorf("%v after %s, when %d were answered", err, time.Since(began), answered.Load())
		}
	})
}

func TestPercentile(t *testing.T) {
	l := make(Latencies, 200)
	for i := range l {
		l[i] = time.Duration(i + 1)
	}
	for p, want := range map[float64]time.Duration{50: 100, 99: 198, 100: 200} {
		if got := l.Percentile(p); got != want {
			t.Errorf("p%.0f: %v, want %v", p, got, want)
		}
	}
	if got := (Latencies{7}).Percentile(50); got != 7 {
		t.Errorf("of one value: %v", got)
	}
}
