// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

const (
	// soon is how long what happens at once may take, and shortly how long is waited for
	// what must not happen.
	soon    = 10 * time.Second
	shortly = 50 * time.Millisecond
)

// listen listens until the test ends.
func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// program says its name to whoever connects and, when they have ended, all that they said.
// It returns its address.
func program(t *testing.T, name string) string {
	t.Helper()
	listener := listen(t)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, name)
				told, _ := io.ReadAll(conn)
				_, _ = conn.Write(told)
			}()
		}
	}()
	return listener.Addr().String()
}

// started returns a Relay that ends with the test.
func started(t *testing.T, targets ...string) *Relay {
	t.Helper()
	r := Start(listen(t), targets...)
	t.Cleanup(r.Close)
	return r
}

func dial(t *testing.T, r *Relay) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", r.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// hear returns what is said next: one letter, or "" for the end.
func hear(t *testing.T, conn net.Conn, within time.Duration) (string, error) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	letter := make([]byte, 1)
	n, err := conn.Read(letter)
	return string(letter[:n]), err
}

// expect fails unless the connection leads to the program of this name.
func expect(t *testing.T, conn net.Conn, name string) {
	t.Helper()
	if heard, err := hear(t, conn, soon); heard != name {
		t.Errorf("heard %q, %v; want %q", heard, err, name)
	}
}

// expectEnd fails unless the connection has ended.
func expectEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	if heard, err := hear(t, conn, soon); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("heard %q, %v; want the end", heard, err)
	}
}

func TestNewConnectionsGoWhereTheyAreRouted(t *testing.T) {
	a, b := program(t, "a"), program(t, "b")
	r := started(t, a, b)
	heard := ""
	for range 4 {
		letter, _ := hear(t, dial(t, r), soon)
		heard += letter
	}
	if heard != "abab" && heard != "baba" {
		t.Errorf("in turn: %s", heard)
	}

	r.Route(a)
	standing := dial(t, r)
	expect(t, standing, "a")
	r.Route(b)
	expect(t, dial(t, r), "b")
	if _, err := hear(t, standing, shortly); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("what stands: %v", err)
	}
}

func TestWhatHasNoTargetIsRefused(t *testing.T) {
	r := started(t)
	expectEnd(t, dial(t, r))
	if r.Refused() != 1 || len(r.Targets()) != 0 {
		t.Errorf("%d are refused, with the targets %v", r.Refused(), r.Targets())
	}
}

func TestSilenceTakesAllAndSaysNothing(t *testing.T) {
	r := started(t, Silence)
	conn := dial(t, r)
	if _, err := conn.Write(make([]byte, 32<<20)); err != nil { // more than any buffer holds
		t.Error(err)
	}
	if _, err := hear(t, conn, shortly); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestACutEndsWhatStands(t *testing.T) {
	a := program(t, "a")
	r := started(t, a, Silence)
	for range 2 {
		conn := dial(t, r)
		_, _ = hear(t, conn, shortly)
		r.Cut()
		expectEnd(t, conn)
	}
	r.Route(a)
	expect(t, dial(t, r), "a")
}

func TestAClosedRelayRefusesConnections(t *testing.T) {
	r := started(t, program(t, "a"))
	conn := dial(t, r)
	expect(t, conn, "a")
	r.Close()
	expectEnd(t, conn)
	if _, err := net.Dial("tcp", r.Address()); err == nil {
		t.Error("somebody is there")
	}
}

// The end of a request must not be that of its answer.
func TestTheEndOfOneDirectionIsPassedOn(t *testing.T) {
	conn := dial(t, started(t, program(t, "a")))
	if _, err := io.WriteString(conn, "bcd"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(conn.CloseWrite(), conn.SetReadDeadline(time.Now().Add(soon))); err != nil {
		t.Fatal(err)
	}
	heard := &strings.Builder{}
	if _, err := io.Copy(heard, conn); err != nil || heard.String() != "abcd" {
		t.Errorf("heard %q, %v", heard, err)
	}
}
