// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// renewals is how many times a deadline is renewed, at most, while it lasts: to move it
// with every piece of a body would cost more than the piece.
const renewals = 4

// Stalls ends requests whose clients make no progress. A stream may last for days: each
// piece of it, in either direction, is progress.
type Stalls struct {
	// Timeout is how long there may be none. It ends a request after three quarters of it
	// at the earliest.
	Timeout time.Duration
	// Clock is the real one: its times become deadlines of sockets.
	Clock   clock.PassiveClock
	Metrics *Metrics
}

// exchange is one request under watch.
type exchange struct {
	stalls     *Stalls
	request    *http.Request
	controller *http.ResponseController

	mu sync.Mutex
	// wanted: nobody has closed the body, and the answer is not here yet.
	wanted bool
	// waiting: the handler waits for the client to send. While it does not, it is not the
	// client who is slow.
	waiting bool
	// ended and stalled say how the body has ended, if it has.
	ended, stalled bool
	// renewed is when the deadline of the body was moved last.
	renewed time.Time
	// written is when that of the response was, by the one who writes.
	written time.Time
}

// Watch returns w and r for a handler that passes a body, or a response, on. The handler
// calls done when it returns.
func (s *Stalls) Watch(w http.ResponseWriter, r *http.Request) (_ http.ResponseWriter, _ *http.Request, done func()) {
	e := &exchange{stalls: s, request: r, controller: http.NewResponseController(w)}
	// A shallow copy, so that net/http keeps its own body.
	watched := r.WithContext(context.WithValue(r.Context(), exchangeKey{}, e))
	if r.Body != nil && r.Body != http.NoBody {
		e.wanted = true
		watched.Body = &body{exchange: e, original: r.Body}
	}
	return &writer{ResponseWriter: w, exchange: e}, watched, e.done
}

// exchangeKey is where the context of a request holds its exchange, and so that of one
// that was made of it.
type exchangeKey struct{}

// Stalled reports whether a request, or the one that it was made of, has failed because
// its body did not come.
func Stalled(r *http.Request) bool {
	e, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stalled
}

// begin sets the deadline of a read, and renew moves it, if the client has taken a part
// of the response meanwhile.
func (e *exchange) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting = true
	e.renew()
}

func (e *exchange) progress() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.renew()
}

func (e *exchange) renew() {
	now := e.stalls.Clock.Now()
	// A stream that has ended must not get a timer, which nothing would stop.
	if !e.wanted || !e.waiting || now.Sub(e.renewed) < e.stalls.Timeout/renewals || e.request.Context().Err() != nil {
		return
	}
	e.renewed = now
	_ = e.controller.SetReadDeadline(now.Add(e.stalls.Timeout))
}

// end takes the deadline away on HTTP/2, where it ends a body also if nobody waits for
// it. On HTTP/1.1 net/http does, at the end of the body, and before it nobody is hurt.
func (e *exchange) end(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting = false
	e.ended = e.ended || err == io.EOF //nolint:errorlint // io.EOF is never wrapped
	switch {
	case e.wanted && errors.Is(err, os.ErrDeadlineExceeded):
		e.wanted, e.stalled = false, true
		e.stalls.Metrics.stalled.WithLabelValues(directionSend).Inc()
	case e.wanted && (e.ended || err == nil) && e.request.ProtoMajor > 1:
		e.renewed = time.Time{}
		_ = e.controller.SetReadDeadline(time.Time{})
	}
}

// unwanted has a body that has not ended by now end soon, on HTTP/1.1, where it stands in
// the way: net/http reads the rest of it before it writes an answer, or closes it.
func (e *exchange) unwanted() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wanted && !e.ended && e.request.ProtoMajor == 1 {
		_ = e.controller.SetReadDeadline(e.stalls.Clock.Now().Add(lingerTimeout))
	}
	e.wanted = false
}

// beforeWrite bounds how long one piece of the response may take.
func (e *exchange) beforeWrite() {
	now := e.stalls.Clock.Now()
	if e.request.ProtoMajor == 1 && now.Sub(e.written) < e.stalls.Timeout/renewals {
		return
	}
	e.written = now
	_ = e.controller.SetWriteDeadline(now.Add(e.stalls.Timeout))
}

// afterWrite takes the bound away on HTTP/2, where it resets a stream also if nothing is
// being written: the upstream may be quiet for as long as it likes.
func (e *exchange) afterWrite(err error) {
	switch {
	case err == nil:
		e.progress()
		if e.request.ProtoMajor > 1 {
			_ = e.controller.SetWriteDeadline(time.Time{})
		}
	case e.late():
		e.stalls.Metrics.stalled.WithLabelValues(directionReceive).Inc()
	}
}

// late reports whether a write has failed because its time was over. On HTTP/2 the error
// does not say so.
func (e *exchange) late() bool { return e.stalls.Clock.Since(e.written) >= e.stalls.Timeout }

// done bounds what net/http still does after the handler: it writes what is buffered.
func (e *exchange) done() {
	e.unwanted()
	if e.request.Context().Err() == nil {
		_ = e.controller.SetWriteDeadline(e.stalls.Clock.Now().Add(e.stalls.Timeout))
	}
}

// body is the body of a request under watch.
type body struct {
	*exchange

	original io.ReadCloser
}

func (b *body) Read(p []byte) (int, error) {
	b.begin()
	n, err := b.original.Read(p)
	b.end(err)
	return n, err
}

// Close closes the body. Whoever reads meanwhile is done soon.
func (b *body) Close() error {
	b.unwanted()
	return b.original.Close()
}

// over reports whether the body was read to its end.
func (e *exchange) over() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ended
}

// writer writes the response of a request under watch.
type writer struct {
	http.ResponseWriter
	*exchange
}

func (w *writer) WriteHeader(status int) {
	if status >= http.StatusOK && w.request.ProtoMajor == 1 {
		w.unwanted()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	w.beforeWrite()
	n, err := w.ResponseWriter.Write(p)
	w.afterWrite(err)
	return n, err
}

// FlushError is what http.ResponseController looks for.
func (w *writer) FlushError() error {
	w.beforeWrite()
	err := w.controller.Flush()
	w.afterWrite(err)
	return err
}

// Unwrap is what http.ResponseController looks for.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
