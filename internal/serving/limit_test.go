// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func (w *world) refused(reason string) float64 {
	return w.value("apikey_server_refused_connections_total", "test", reason)
}

func (w *world) open() float64 { return w.value("apikey_server_connections", "test") }

// gone reports whether the server has closed a connection.
func (c *raw) gone() bool {
	synctest.Wait()
	_, err := io.WriteString(c, get)
	return err != nil
}

func TestAFullListenerClosesWhatComesThen(t *testing.T) {
	within(t, Limits{Total: 3}, func(w *world, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(w *world) {
		var busy []*raw
		for range 3 {
			c := w.connect("192.0.2.1:1")
			c.send(get)
			synctest.Wait()
			busy = append(busy, c)
		}
		if !w.connect("192.0.2.2:1").gone() || w.refused("total") != 1 || w.open() != 3 {
			t.Errorf("%v refused, %v open", w.refused("total"), w.open())
		}
		busy[0].Close()
		synctest.Wait()
		if w.connect("192.0.2.2:1").gone() || w.open() != 3 {
			t.Errorf("no room although one has gone: %v open", w.open())
		}
	})
}

func TestAFullListenerClosesWhatHasBeenIdleForTheLongest(t *testing.T) {
	within(t, Limits{Total: 3}, func(_ *world, _ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy" {
			<-r.Context().Done()
		}
	}, func(w *world) {
		busy, silent, idle := w.connect("192.0.2.1:1"), w.connect("192.0.2.2:2"), w.connect("192.0.2.3:3")
		busy.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
		passes(time.Millisecond)
		idle.send(get)
		idle.response()
		synctest.Wait()
		if !w.connect("192.0.2.2:1").gone() {
			t.Error("one that was busy a moment ago has made room")
		}
		passes(evictAfter)
		for _, oldest := range []*raw{silent, idle} {
			another := w.connect("192.0.2.2:1")
			another.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
			if !oldest.gone() {
				t.Error("the one that was idle for the longest is still there")
			}
		}
		if !w.connect("192.0.2.3:1").gone() || w.refused("idle") != 2 || w.refused("total") != 2 || w.open() != 3 {
			t.Errorf("%v made room, %v refused, %v open", w.refused("idle"), w.refused("total"), w.open())
		}
	})
}

// Half a header, and a body that is still to come after the answer, are idle.
func TestWhoKeepsTheServerWaitingMakesRoom(t *testing.T) {
	within(t, Limits{Total: 2}, refuses, func(w *world) {
		slow, answered := w.connect("192.0.2.1:1"), w.connect("192.0.2.1:2")
		slow.send("GET / HTTP/1.1\r\nX-A: ")
		passes(time.Millisecond)
		answered.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
		answered.response()
		synctest.Wait()
		passes(evictAfter)
		for _, oldest := range []*raw{slow, answered} {
			if another := w.connect("192.0.2.2:1"); another.gone() || !oldest.gone() {
				t.Error("the one that keeps the server waiting is still there")
			}
		}
	})
}

func TestNobodyMakesRoomForAClientThatHasMore(t *testing.T) {
	within(t, Limits{Total: 3}, refuses, func(w *world) {
		one := w.connect("192.0.2.1:1")
		passes(time.Millisecond)
		first := w.connect("192.0.2.2:1")
		passes(time.Millisecond)
		second := w.connect("192.0.2.2:2")
		if !w.connect("192.0.2.2:3").gone() || w.refused("total") != 1 {
			t.Errorf("%v refused", w.refused("total"))
		}
		passes(evictAfter)
		if w.connect("192.0.2.2:3").gone() || !first.gone() {
			t.Error("a client's own connection made no room for another")
		}
		if w.connect("192.0.2.3:1").gone() || !second.gone() || one.gone() {
			t.Error("it was not one of the client that has most")
		}
	})
}

func TestAClientThatHasManyMakesRoomAtOnce(t *testing.T) {
	within(t, Limits{Total: 3}, refuses, func(w *world) {
		first := w.connect("192.0.2.1:1")
		passes(time.Millisecond)
		for range 2 {
			w.connect("192.0.2.1:1")
		}
		if w.connect("192.0.2.2:1").gone() || !first.gone() {
			t.Error("one that has three has made no room for another's first")
		}
		if !w.connect("192.0.2.2:1").gone() {
			t.Error("one that has two has made room for another's second")
		}
	})
}

func TestOneClientHasItsShare(t *testing.T) {
	within(t, Limits{Total: 10, PerClient: 2}, func(_ *world, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(w *world) {
		var first *raw
		for _, test := range []struct {
			from string
			gone bool
		}{
			{"192.0.2.1:1", false}, {"192.0.2.1:2", false}, {"192.0.2.1:3", true}, {"[::ffff:192.0.2.1]:4", true},
			{"192.0.2.2:1", false},
			{"[2001:db8::1]:1", false}, {"[2001:db8::2]:1", false}, {"[2001:db8::3]:1", true}, {"[2001:db8:0:0:1::3]:1", true},
			{"[2001:db8:0:1::3]:1", false},
			{"[fe80::1%eth0]:1", false}, {"[fe80::1%eth1]:1", false}, {"[fe80::2%eth2]:1", true},
		} {
			c := w.connect(test.from)
			if c.gone() != test.gone {
				t.Errorf("%s: gone %t", test.from, !test.gone)
			}
			if first == nil {
				first = c
			}
		}
		if w.refused("client") != 5 {
			t.Errorf("%v refused", w.refused("client"))
		}
		first.Close()
		synctest.Wait()
		if w.connect("192.0.2.1:5").gone() {
			t.Error("no room although one has gone")
		}
	})
}
