// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"io"
	"net/http"
	"time"

	"k8s.io/utils/clock"
)

// lingerTimeout is how long a client that was answered may still send its body. If the
// connection were closed at once the kernel could throw the answer away before the client
// has read it (RFC 9112, section 9.6).
const lingerTimeout = 2 * time.Second

// unread reports whether a body is still to come on a connection that has to carry
// the next request after it. Streams of HTTP/2 end by themselves.
func unread(r *http.Request) bool {
	if e, ok := r.Context().Value(exchangeKey{}).(*exchange); ok && e.over() {
		return false
	}
	return r.ProtoMajor == 1 && r.Body != nil && r.Body != http.NoBody
}

// AnswerFirst has answer written at once, although the body of the request was not read:
// by itself net/http waits for it without end. A body that comes all the same leaves the
// connection good for the next request, any other closes it. answer has to set
// Content-Length.
//
// The times are real ones: they become deadlines of sockets.
func AnswerFirst(w http.ResponseWriter, r *http.Request, c clock.PassiveClock, answer func()) {
	if !unread(r) {
		answer()
		return
	}
	controller := http.NewResponseController(w)
	if r.Header.Get("Expect") != "" {
		// To read the body would ask for it. The answer closes the connection, and
		// so may the client.
		_ = controller.SetReadDeadline(c.Now().Add(lingerTimeout))
		answer()
		lingers(r.Context())
		return
	}
	// Without full duplex net/http reads the body before it writes the answer.
	if controller.EnableFullDuplex() != nil {
		w.Header().Set("Connection", "close")
	}
	answer()
	_ = controller.Flush() // whoever has gone away needs no answer
	lingers(r.Context())
	_ = controller.SetReadDeadline(c.Now().Add(lingerTimeout))
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		// What else comes on this connection is no request. net/http would take it for
		// one: after an error in full duplex it reads on.
		panic(http.ErrAbortHandler)
	}
}

// IgnoreBody is for handlers that read no body: whoever sends one is answered at once, and
// the connection ends.
func IgnoreBody(next http.Handler, c clock.PassiveClock) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		late := unread(r)
		if late {
			// net/http then neither waits for the body before the answer, nor, because of the
			// deadline, long after it.
			w.Header().Set("Connection", "close")
			_ = http.NewResponseController(w).SetReadDeadline(c.Now().Add(lingerTimeout))
		}
		next.ServeHTTP(w, r)
		if late {
			lingers(r.Context())
		}
	})
}
