// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// soon is how long what happens at once may take, and shortly how long is waited for
// what must not happen.
const (
	soon    = 10 * time.Second
	shortly = 100 * time.Millisecond
)

// server is what stands behind a link: it says "hello" and, to a watch, a line for each
// event.
type server struct {
	asked  atomic.Int64
	events chan string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	if !Watches(r) {
		fmt.Fprint(w, "hello")
		return
	}
	_ = http.NewResponseController(w).Flush()
	for {
		select {
		case event := <-s.events:
			fmt.Fprintln(w, event)
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// linked starts a server and a link to it, and returns a client that goes through it.
func linked(t *testing.T) (*server, *Link, func(path string) (string, error)) {
	t.Helper()
	s := &server{events: make(chan string, 10)}
	behind := httptest.NewUnstartedServer(s)
	behind.EnableHTTP2 = true
	behind.StartTLS()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: behind.Certificate().Raw})
	link, err := ToAPIServer(&rest.Config{Host: behind.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = link.Close()
		behind.CloseClientConnections()
		behind.Close()
	})
	config := &rest.Config{}
	link.Through(config)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	return s, link, func(path string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+path, nil)
		if err != nil {
			return "", err
		}
		response, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return "", errors.New(response.Status)
		}
		if Watches(request) {
			line := make([]byte, 64)
			n, err := response.Body.Read(line)
			return strings.TrimSpace(string(line[:n])), err
		}
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}
}

// answer is what was answered.
type answer struct {
	text string
	err  error
}

func start(get func(string) (string, error), path string) <-chan answer {
	answers := make(chan answer, 1)
	go func() {
		text, err := get(path)
		answers <- answer{text, err}
	}()
	return answers
}

func expect(t *testing.T, answers <-chan answer, text string) {
	t.Helper()
	select {
	case got := <-answers:
		if got.text != text || got.err != nil {
			t.Errorf("%q, %v; want %q", got.text, got.err, text)
		}
	case <-time.After(soon):
		t.Error("no answer")
	}
}

func expectNone(t *testing.T, answers <-chan answer) {
	t.Helper()
	select {
	case got := <-answers:
		t.Errorf("%q, %v came through", got.text, got.err)
	case <-time.After(shortly):
	}
}

func TestALinkStalls(t *testing.T) {
	s, link, get := linked(t)
	expect(t, start(get, "/"), "hello")
	before := s.asked.Load()

	link.Stall(Answers)
	answers := start(get, "/")
	expectNone(t, answers)
	if s.asked.Load() != before+1 {
		t.Error("a request did not arrive although only answers are stalled")
	}
	link.Flow()
	expect(t, answers, "hello")

	link.Stall(Requests)
	answers = start(get, "/")
	expectNone(t, answers)
	if s.asked.Load() != before+1 {
		t.Error("a request arrived although requests are stalled")
	}
	link.Flow()
	expect(t, answers, "hello")

	link.Cut()
	answers = start(get, "/")
	expectNone(t, answers)
	link.Flow()
	expect(t, answers, "hello")
}

func TestALinkHoldsSomeRequests(t *testing.T) {
	s, link, get := linked(t)
	leases := func(r *http.Request) bool { return r.URL.Path == "/leases" }
	for name, hold := range map[string]func(Match) *Hold{"requests": link.HoldRequests, "answers": link.HoldAnswers} {
		before := s.asked.Load()
		h := hold(leases)
		answers := start(get, "/leases")
		select {
		case <-h.Caught():
		case <-time.After(soon):
			t.Errorf("%s: nothing is caught", name)
		}
		expectNone(t, answers)
		if arrived := s.asked.Load() > before; arrived != (name == "answers") {
			t.Errorf("%s: arrived: %t", name, arrived)
		}
		expect(t, start(get, "/"), "hello")
		h.Release()
		h.Release()
		expect(t, answers, "hello")
		expect(t, start(get, "/leases"), "hello")
	}

	h := link.Refuse(leases)
	if text, err := get("/leases"); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("%q, %v", text, err)
	}
	expect(t, start(get, "/"), "hello")
	h.Release()
	expect(t, start(get, "/leases"), "hello")
}

func TestALinkHoldsTheEventsOfAWatch(t *testing.T) {
	s, link, get := linked(t)
	watch := start(get, "/?watch=true")
	expectNone(t, watch)
	h := link.HoldAnswers(Watches)
	s.events <- "event"
	expectNone(t, watch)
	expect(t, start(get, "/"), "hello")
	h.Release()
	expect(t, watch, "event")
}
