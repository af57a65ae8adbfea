// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// stream opens a stream of HTTP/2 on a connection that has said hello, unless the server
// closes that meanwhile.
func (c *raw) stream(id uint32, path string, more ...string) {
	c.t.Helper()
	var header bytes.Buffer
	encoder := hpack.NewEncoder(&header)
	for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", path}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	for i := 0; i < len(more); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: more[i], Value: more[i+1]})
	}
	if err := http2.NewFramer(c, nil).WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: header.Bytes(), EndHeaders: true}); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		c.t.Fatal(err)
	}
}

// held is more than what a stream owes here, but by less than an eighth.
const held = streamBytes + 2<<10

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
	within(t, Limits{Memory: 7 * held}, waits, func(w *world) {
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
	within(t, Limits{Memory: 8 * held}, waits, func(w *world) {
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

// A connection that was quiet for long owes nothing for that.
func TestWhoWasQuietIsKept(t *testing.T) {
	within(t, Limits{Memory: 7 * held}, waits, func(w *world) {
		quiet, holds := w.connect("192.0.2.1:1").hello(), w.connect("192.0.2.2:1").hello()
		quiet.stream(1, "/")
		passes(time.Minute)
		for id := range uint32(6) {
			holds.stream(2*id+1, "/hold")
		}
		passes(time.Second)
		for id := range uint32(2) {
			quiet.stream(2*id+3, "/hold")
		}
		synctest.Wait()
		if w.refused("memory") != 1 || !holds.gone() || w.open() != 1 {
			t.Errorf("%v were closed, and not the one that holds", w.refused("memory"))
		}
	})
}

// HTTP/2 is told by its whole preface, however that comes.
func TestThePrefaceMayComeInPieces(t *testing.T) {
	within(t, Limits{Memory: 7 * held}, waits, func(w *world) {
		c := w.connect("192.0.2.1:1")
		go func() { _, _ = io.Copy(io.Discard, c) }()
		for i := range len(http2.ClientPreface) {
			c.send(http2.ClientPreface[i : i+1])
		}
		if err := http2.NewFramer(c, nil).WriteSettings(); err != nil {
			t.Fatal(err)
		}
		for id := range uint32(8) {
			c.stream(2*id+1, "/hold")
		}
		if synctest.Wait(); w.refused("memory") != 1 {
			t.Error("streams owe nothing")
		}
	})
	within(t, Limits{Memory: 100 << 10}, waits, func(w *world) {
		c := w.connect("192.0.2.1:1")
		_, _ = io.WriteString(c, "PRI * HTTP/2.0\r\nX: "+strings.Repeat("a", 5<<10)) // closed in the midst
		if synctest.Wait(); w.refused("memory") != 1 {
			t.Error("a header that begins as the preface does owes nothing")
		}
	})
}

// What net/http answers by itself is answered, too.
func TestARefusalOfNetHTTPIsOwedUntilItIsTaken(t *testing.T) {
	within(t, Limits{Memory: 7 * held}, waits, func(w *world) {
		c := w.connect("192.0.2.1:1").hello()
		framer := http2.NewFramer(c, nil)
		if err := framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
			t.Fatal(err)
		}
		for id := range uint32(8) {
			c.stream(2*id+1, "/", "connection", "close")
		}
		if synctest.Wait(); w.refused("memory") != 1 {
			t.Errorf("%v were closed", w.refused("memory"))
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
	lets := func(_ *world, _ http.ResponseWriter, r *http.Request, request *Request) {
		if r.URL.Path == "/hold" {
			request.LetIn()
			<-r.Context().Done()
		}
	}
	withinAccount(t, Limits{Memory: 2 * held}, lets, func(w *world) {
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

// Neither a long upload nor a long response makes a connection one that holds much.
func TestWhatIsLetInIsNotOwedHoweverLongItTakes(t *testing.T) {
	reads := func(_ *world, _ http.ResponseWriter, r *http.Request, request *Request) {
		if r.URL.Path == "/upload" {
			request.LetIn()
			_, _ = io.Copy(io.Discard, r.Body)
		}
	}
	withinAccount(t, Limits{Memory: bodyMost}, reads, func(w *world) {
		c := w.connect("192.0.2.1:1").hello()
		var header bytes.Buffer
		encoder := hpack.NewEncoder(&header)
		for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/upload"}} {
			_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		framer := http2.NewFramer(c, nil)
		if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: header.Bytes(), EndHeaders: true}); err != nil {
			t.Fatal(err)
		}
		for range 500 {
			if err := framer.WriteData(1, false, make([]byte, 16<<10)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		for id := range uint32(3) {
			c.stream(2*id+3, "/")
			synctest.Wait()
		}
		// As whoever takes a long response does.
		for range 10 * bodyMost / answerBytes {
			if err := framer.WriteWindowUpdate(1, 1); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := w.refused("memory"); n != 0 || w.open() != 1 {
			t.Errorf("%v were closed", n)
		}
	})
}

// net/http keeps an answer to each PING until it is taken, be others taken meanwhile.
func TestAnswersThatAreNotTakenAreOwed(t *testing.T) {
	const most = 200
	within(t, Limits{Memory: most * answerBytes}, waits, func(w *world) {
		c := w.connect("192.0.2.1:1") // a pipe takes nothing that is not read
		c.send(http2.ClientPreface)
		framer := http2.NewFramer(c, c)
		taken := make(chan struct{})
		go func() {
			defer close(taken)
			for range 100 {
				if _, err := framer.ReadFrame(); err != nil {
					return
				}
			}
		}()
		sent := 0
		for ; sent < 10_000; sent++ {
			if framer.WritePing(false, [8]byte{}) != nil {
				break
			}
		}
		synctest.Wait()
		if n := w.refused("memory"); n != 1 || sent < 100+most/2 || sent > 2*(100+most) {
			t.Errorf("%v were closed, after %d", n, sent)
		}
		c.Close()
		<-taken
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

// net/http has a handler answer the preface, where it is no beginning of HTTP/2, as a request of
// HTTP/2.0 that came over HTTP/1.1.
func TestAPrefaceByItselfIsARequest(t *testing.T) {
	within(t, Limits{Memory: 1 << 20}, refuses, func(w *world) {
		for _, text := range []string{"PRI * HTTP/2.0\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"} {
			c := w.connect("192.0.2.1:1")
			_, _ = io.WriteString(c, text)
			c.Close()
		}
		other := w.connect("192.0.2.2:1")
		other.send(get)
		other.response()
	})
}
