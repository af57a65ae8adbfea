// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// forwards reads the body to its end and answers how long it was, as a proxy that an
// upstream answers then.
func forwards(w *world, rw http.ResponseWriter, r *http.Request) {
	rw, r, done := w.stalls.Watch(rw, r)
	defer done()
	n, err := io.Copy(io.Discard, r.Body)
	switch {
	case Stalled(r):
		AnswerFirst(rw, r, w.stalls.Clock, func() {
			rw.Header().Set("Content-Length", "0")
			rw.WriteHeader(http.StatusRequestTimeout)
		})
	case err == nil:
		fmt.Fprint(rw, n)
	}
}

func (w *world) post(client *http.Client, body io.Reader) (*http.Response, string) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://test/", body)
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response, string(text)
}

// both runs a test over HTTP/1.1 and over HTTP/2.
func both(t *testing.T, handler func(*world, http.ResponseWriter, *http.Request), test func(*world, *http.Client)) {
	for version := 1; version <= 2; version++ {
		t.Run(fmt.Sprintf("HTTP/%d", version), func(t *testing.T) {
			within(t, Limits{}, handler, func(w *world) {
				client := w.client(version)
				test(w, client)
				client.CloseIdleConnections()
			})
		})
	}
}

func TestABodyThatStopsIsGivenUp(t *testing.T) {
	both(t, forwards, func(w *world, client *http.Client) {
		reader, writer := io.Pipe()
		go func() { _, _ = io.WriteString(writer, "the beginning") }()
		began := time.Now()
		response, _ := w.post(client, reader)
		if took := time.Since(began); response.StatusCode != http.StatusRequestTimeout || took < stall*3/4 || took > stall+time.Second {
			t.Errorf("%d after %s", response.StatusCode, took)
		}
		if stalled := w.value("apikey_server_stalled_requests_total", "send"); stalled != 1 {
			t.Errorf("%v were counted", stalled)
		}
		writer.Close()
	})
}

func TestABodyThatIsSlowButSteadyPasses(t *testing.T) {
	both(t, forwards, func(w *world, client *http.Client) {
		reader, writer := io.Pipe()
		go func() {
			for range 20 {
				passes(stall * 7 / 10)
				_, _ = io.WriteString(writer, "a")
			}
			writer.Close()
		}()
		if response, text := w.post(client, reader); response.StatusCode != http.StatusOK || text != "20" {
			t.Errorf("%d %q", response.StatusCode, text)
		}
	})
}

// While the upstream takes its time nobody waits for the client.
func TestASlowUpstreamIsNotTheClientsFault(t *testing.T) {
	both(t, func(w *world, rw http.ResponseWriter, r *http.Request) {
		rw, r, done := w.stalls.Watch(rw, r)
		defer done()
		first := make([]byte, 1)
		for range 3 {
			passes(3 * stall)
			if _, err := io.ReadFull(r.Body, first); err != nil {
				t.Error(err)
			}
		}
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			t.Error(err)
		}
		for range 3 {
			passes(3 * stall)
			fmt.Fprintln(rw, n)
			_ = http.NewResponseController(rw).Flush()
		}
		passes(3 * stall)
		if err := r.Context().Err(); err != nil {
			t.Error(err)
		}
	}, func(w *world, client *http.Client) {
		for range 2 { // the second on the same connection
			reader, writer := io.Pipe()
			go func() {
				_, _ = writer.Write(make([]byte, 1))
				passes(5 * stall)
				_, _ = writer.Write(make([]byte, 49_999))
				writer.Close()
			}()
			response, text := w.post(client, reader)
			if response.StatusCode != http.StatusOK || text != strings.Repeat("49997\n", 3) {
				t.Errorf("%d %q", response.StatusCode, text)
			}
			passes(3 * stall)
		}
	})
}

// A stream whose client only listens makes progress as long as it does so. HTTP/1.1 has no
// such streams.
func TestAStreamLastsWhileOneDirectionMoves(t *testing.T) {
	const pieces = 20
	within(t, Limits{}, func(w *world, rw http.ResponseWriter, r *http.Request) {
		rw, r, done := w.stalls.Watch(rw, r)
		defer done()
		began, read := time.Now(), make(chan time.Duration, 1)
		go func() {
			_, _ = io.Copy(io.Discard, r.Body)
			read <- time.Since(began)
		}()
		for range pieces {
			fmt.Fprintln(rw, "piece")
			_ = http.NewResponseController(rw).Flush()
			passes(stall * 7 / 10)
		}
		// Then it is quiet in both directions.
		if took := <-read; took < pieces*stall*7/10 || !Stalled(r) {
			t.Errorf("the body was given up after %s", took)
		}
	}, func(w *world) {
		client := w.client(2)
		reader, writer := io.Pipe()
		request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, "http://test/", reader)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		text, err := io.ReadAll(response.Body)
		if took := time.Since(began); err != nil || string(text) != strings.Repeat("piece\n", pieces) || took < pieces*stall*7/10 {
			t.Errorf("%q, %v after %s", text, err, took)
		}
		if stalled := w.value("apikey_server_stalled_requests_total", "send"); stalled != 1 {
			t.Errorf("%v were counted", stalled)
		}
		writer.Close()
		client.CloseIdleConnections()
	})
}

func TestAResponseThatNobodyReadsIsGivenUp(t *testing.T) {
	handler := func(w *world, rw http.ResponseWriter, r *http.Request) {
		rw, _, done := w.stalls.Watch(rw, r)
		defer done()
		began := time.Now()
		for piece := make([]byte, 32<<10); ; {
			if _, err := rw.Write(piece); err != nil {
				if took := time.Since(began); took < stall*3/4 || took > stall+time.Second {
					t.Errorf("after %s", took)
				}
				w.calls <- "ended"
				return
			}
		}
	}
	check := func(w *world) {
		t.Helper()
		<-w.calls // begun
		<-w.calls
		if stalled := w.value("apikey_server_stalled_requests_total", "receive"); stalled != 1 {
			t.Errorf("%v were counted", stalled)
		}
	}
	within(t, Limits{}, handler, func(w *world) {
		w.connect("192.0.2.1:1").send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		check(w)
	})
	within(t, Limits{}, handler, func(w *world) {
		client := w.client(2)
		request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request) // whose body is not read
		if err != nil {
			t.Fatal(err)
		}
		check(w)
		response.Body.Close()
		client.CloseIdleConnections()
	})
}
