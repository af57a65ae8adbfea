// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const refusal = "no"

// refuses answers without a look at the body.
func refuses(w *world, rw http.ResponseWriter, r *http.Request) {
	AnswerFirst(rw, r, w.stalls.Clock, func() {
		rw.Header().Set("Content-Length", "2")
		rw.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(rw, refusal)
	})
}

// declared are requests whose bodies do not come, or not to their end.
var declared = map[string]string{
	"with a length":          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n",
	"in part":                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
	"with a gigabyte":        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n",
	"in chunks":              "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
	"in chunks, in part":     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	"in the midst of one":    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc",
	"and waits for a 100":    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n",
	"and wants to close":     "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 100\r\n\r\n",
	"of GET":                 "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n",
	"of HTTP/1.0":            "POST / HTTP/1.0\r\nContent-Length: 100\r\n\r\n",
	"of HTTP/1.0, kept":      "POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 100\r\n\r\n",
	"with a trailer to come": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n0\r\n",
}

func TestAnAnswerDoesNotWaitForTheBody(t *testing.T) {
	ignores := func(w *world, rw http.ResponseWriter, r *http.Request) {
		IgnoreBody(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(rw, refusal)
		}), w.stalls.Clock).ServeHTTP(rw, r)
	}
	for name, request := range declared {
		for kind, handler := range map[string]func(*world, http.ResponseWriter, *http.Request){"AnswerFirst": refuses, "IgnoreBody": ignores} {
			t.Run(name+", "+kind, func(t *testing.T) {
				within(t, Limits{}, handler, func(w *world) {
					c, began := w.connect("192.0.2.1:1"), time.Now()
					c.send(request)
					response, body := c.response()
					if took := time.Since(began); response.StatusCode != http.StatusUnauthorized || body != refusal || took > 0 {
						t.Errorf("%d %q after %s", response.StatusCode, body, took)
					}
					if left := c.ends(); left > lingerTimeout+time.Second {
						t.Errorf("the connection is still there after %s", left)
					}
				})
			})
		}
	}
}

// A body that comes all the same leaves the connection good for the next request.
func TestABodyThatComesKeepsTheConnection(t *testing.T) {
	within(t, Limits{}, refuses, func(w *world) {
		c := w.connect("192.0.2.1:1")
		for _, body := range []string{
			"Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "Content-Length: 0\r\n\r\n", "\r\n",
		} {
			c.send("POST / HTTP/1.1\r\nHost: a\r\n" + body)
			if response, _ := c.response(); response.StatusCode != http.StatusUnauthorized || response.Close {
				t.Errorf("%q: %d, close %t", body, response.StatusCode, response.Close)
			}
		}
		// Longer than a client may linger, and than the header of the next request may take.
		passes(time.Minute)
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
		c.response()
		c.send(strings.Repeat("a", 300_000))
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.response()
	})
}

// What comes after a body that was given up on is not another request.
func TestTheRestOfABodyIsNoRequest(t *testing.T) {
	for name, handler := range map[string]func(*world, http.ResponseWriter, *http.Request){
		"a refusal": refuses,
		"an answer of the upstream": func(w *world, rw http.ResponseWriter, r *http.Request) {
			rw, _, done := w.stalls.Watch(rw, r)
			defer done()
			rw.WriteHeader(http.StatusOK)
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, Limits{}, handler, func(w *world) {
				c := w.connect("192.0.2.1:1")
				c.send("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
				c.response()
				passes(lingerTimeout + time.Second)
				if _, err := io.WriteString(c, "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"); err == nil {
					t.Error("the connection is read on")
				}
				synctest.Wait()
				if <-w.calls != "/first" || len(w.calls) > 0 {
					t.Error("a request was found in a body")
				}
			})
		})
	}
}
