// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// stream opens a stream of HTTP/2 on a connection that has said hello.
func (c *raw) stream(id uint32, path string) {
	c.t.Helper()
	var header bytes.Buffer
	encoder := hpack.NewEncoder(&header)
	for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", path}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	if err := http2.NewFramer(c, nil).WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: header.Bytes(), EndHeaders: true}); err != nil {
		c.t.Fatal(err)
	}
}

// hello begins to speak HTTP/2, and reads what is answered until the connection ends.
func (c *raw) hello() *raw {
	c.t.Helper()
	go func() { _, _ = io.Copy(io.Discard, c) }()
	c.send(http2.ClientPreface)
	if err := http2.NewFramer(c, nil).WriteSettings(); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// waits answers nobody who asks for /hold.
func waits(_ *world, _ http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/hold" {
		<-r.Context().Done()
	}
}

func TestWhoHoldsMostForTheLongestIsClosed(t *testing.T) {
	within(t, Limits{Memory: 8 * streamBytes}, waits, func(w *world) {
		before, most, after := w.connect("192.0.2.1:1").hello(), w.connect("192.0.2.2:1").hello(), w.connect("192.0.2.3:1").hello()
		before.stream(1, "/hold")
		passes(time.Second)
		for id := range uint32(5) {
			most.stream(2*id+1, "/hold")
		}
		passes(time.Second)
		after.stream(1, "/hold")
		synctest.Wait()
		if n := w.refused("memory"); n != 0 {
			t.Fatalf("%v were closed within the limit", n)
		}
		after.stream(3, "/hold")
		synctest.Wait()
		if n := w.refused("memory"); n != 1 || !most.gone() || w.open() != 2 {
			t.Errorf("%v were closed, %v are open, and the one that holds most is there", n, w.open())
		}
	})
}

func TestWhoHoldsMoreForAMomentIsKept(t *testing.T) {
	within(t, Limits{Memory: 8 * streamBytes}, waits, func(w *world) {
		long, busy := w.connect("192.0.2.1:1").hello(), w.connect("192.0.2.2:1").hello()
		for id := range uint32(3) {
			long.stream(2*id+1, "/hold")
		}
		passes(10 * time.Second)
		busy.stream(1, "/") // which is answered at once
		for id := range uint32(6) {
			busy.stream(2*id+3, "/hold")
		}
		synctest.Wait()
		if w.refused("memory") != 1 || !long.gone() || w.open() != 1 {
			t.Errorf("%v were closed, not the one that holds less, for long", w.refused("memory"))
		}
	})
}

func TestAHeaderThatDoesNotEndIsOwed(t *testing.T) {
	const each = 4 << 10
	within(t, Limits{Memory: 3 * each * headerFactor}, waits, func(w *world) {
		header := "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", each-29)
		first := w.connect("192.0.2.1:1")
		first.send(header)
		passes(time.Millisecond)
		for range 2 {
			w.connect("192.0.2.1:1").send(header)
		}
		synctest.Wait()
		if n := w.refused("memory"); n != 0 {
			t.Fatalf("%v were closed within the limit", n)
		}
		w.connect("192.0.2.1:1").send(header)
		synctest.Wait()
		if n := w.refused("memory"); n != 1 || !first.gone() {
			t.Errorf("%v were closed", n)
		}
	})
}

func TestWhatWasAnsweredOrLetInIsNotOwed(t *testing.T) {
	lets := func(_ *world, _ http.ResponseWriter, r *http.Request, debt *Debt) {
		if r.URL.Path == "/hold" {
			debt.Settle()
			<-r.Context().Done()
		}
	}
	withinAccount(t, Limits{Memory: 2 * streamBytes}, lets, func(w *world) {
		c := w.connect("192.0.2.1:1").hello()
		for id := range uint32(50) {
			path := "/"
			if id%2 == 0 {
				path = "/hold"
			}
			c.stream(2*id+1, path)
			synctest.Wait()
		}
		keeps := w.connect("192.0.2.1:1")
		for range 50 {
			keeps.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 1<<10) + "\r\n\r\n")
			keeps.response()
		}
		if n := w.refused("memory"); n != 0 || w.open() != 2 {
			t.Errorf("%v were closed", n)
		}
	})
}

// Where more comes while answers are not taken, net/http keeps an answer to each.
func TestWhoTakesNoAnswerOwesWhatItSends(t *testing.T) {
	within(t, Limits{Memory: 1 << 20}, waits, func(w *world) {
		c := w.connect("192.0.2.1:1") // a pipe takes nothing that is not read
		c.send(http2.ClientPreface)
		framer := http2.NewFramer(c, nil)
		var err error
		passes(time.Second)
		for range 10_000 {
			if err = framer.WritePing(false, [8]byte{}); err != nil {
				break
			}
		}
		synctest.Wait()
		if n := w.refused("memory"); n != 1 {
			t.Errorf("%v were closed", n)
		}
	})
}

func TestNoOrganizationHasAllShares(t *testing.T) {
	s := NewShares(4, 2)
	for _, test := range []struct {
		organization string
		taken        bool
	}{{"a", true}, {"a", true}, {"a", false}, {"b", true}, {"c", true}, {"d", false}} {
		if s.Take(test.organization) != test.taken {
			t.Errorf("%+v", test)
		}
	}
	s.Return("a")
	if !s.Take("d") || len(s.of) != 4 {
		t.Errorf("no share that was given back: %v", s.of)
	}
}
