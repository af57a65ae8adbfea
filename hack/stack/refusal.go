// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Vigil sends requests over and over, each to a replica of its own and over a
// connection of its own, until that replica refuses it. It measures how soon a key
// that is revoked is dead.
type Vigil struct {
	watches []*watch
	cancel  context.CancelCauseFunc
	ctx     context.Context
	running sync.WaitGroup
}

// watch is the part of a Vigil that looks at one replica.
type watch struct {
	request *http.Request
	// accepted is closed at the first answer 200, refused at the first 401.
	accepted, refused chan struct{}
	// refusedAt is set when refused is closed.
	refusedAt time.Time
	// count is how many answers were 200; set when refused is closed.
	count int
}

// Keep begins a Vigil with these requests, which must have no body. Every answer
// has to be 200 until one is 401.
func Keep(ctx context.Context, requests ...*http.Request) *Vigil {
	v := &Vigil{}
	v.ctx, v.cancel = context.WithCancelCause(ctx)
	for _, request := range requests {
		w := &watch{request: request, accepted: make(chan struct{}), refused: make(chan struct{})}
		v.watches = append(v.watches, w)
		v.running.Go(func() {
			if err := w.keep(v.ctx); err != nil {
				v.cancel(err)
			}
		})
	}
	return v
}

// Accepted waits until each replica has accepted its request.
func (v *Vigil) Accepted() error {
	for _, w := range v.watches {
		select {
		case <-w.accepted:
		case <-v.ctx.Done():
			return fmt.Errorf("wait until %s accepts: %w", w.request.URL.Host, context.Cause(v.ctx))
		}
	}
	return nil
}

// Refusal is how the Vigil at one replica ended.
type Refusal struct {
	// At is when the first answer 401 was received.
	At time.Time
	// Accepted is how many answers before it were 200.
	Accepted int
}

// Refused waits until each replica has refused its request, and says when that
// was, in the order of the requests.
func (v *Vigil) Refused() ([]Refusal, error) {
	var refusals []Refusal
	for _, w := range v.watches {
		select {
		case <-w.refused:
			refusals = append(refusals, Refusal{At: w.refusedAt, Accepted: w.count})
		case <-v.ctx.Done():
			return nil, fmt.Errorf("wait until %s refuses: %w", w.request.URL.Host, context.Cause(v.ctx))
		}
	}
	return refusals, nil
}

// End stops what still runs.
func (v *Vigil) End() {
	v.cancel(errors.New("the vigil was ended"))
	v.running.Wait()
}

func (w *watch) keep(ctx context.Context) error {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for {
		status, err := send(transport, w.request.Clone(ctx))
		switch {
		case err != nil:
			return err
		case status == http.StatusOK:
			if w.count++; w.count == 1 {
				close(w.accepted)
			}
		case status == http.StatusUnauthorized:
			w.refusedAt = time.Now()
			close(w.refused)
			return nil
		default:
			return fmt.Errorf("%s answered %d: neither accepted nor refused", w.request.URL, status)
		}
	}
}

// send returns the status of the whole answer.
func send(transport http.RoundTripper, request *http.Request) (int, error) {
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, errors.Join(err, response.Body.Close())
}
