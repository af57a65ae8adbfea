// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// probeInterval is the least time between two requests of a Probe to a replica. What
// a Probe measures is too long by up to this; without a pause it would take the
// processors away from what it measures, on a machine that has few.
const probeInterval = time.Millisecond

// Probe sends requests over and over, each to a replica of its own and over a
// connection of its own, until that replica refuses it. It measures how soon a key
// that is revoked is dead.
type Probe struct {
	watches []*watch
	cancel  context.CancelCauseFunc
	ctx     context.Context
	running *errgroup.Group
}

// watch is the part of a Probe that looks at one replica.
type watch struct {
	request *http.Request
	// accepted is closed at the first answer 200, refused at the first 401.
	accepted, refused chan struct{}
	// refusal may be read when refused is closed.
	refusal Refusal
}

// StartProbe begins a Probe with these requests, which must have no body. Every
// answer has to be 200 until one is 401.
func StartProbe(ctx context.Context, requests ...*http.Request) *Probe {
	p := &Probe{}
	ctx, p.cancel = context.WithCancelCause(ctx)
	p.running, p.ctx = errgroup.WithContext(ctx)
	for _, request := range requests {
		w := &watch{request: request, accepted: make(chan struct{}), refused: make(chan struct{})}
		p.watches = append(p.watches, w)
		p.running.Go(func() error { return w.keep(p.ctx) })
	}
	return p
}

// Accepted waits until each replica has accepted its request.
func (p *Probe) Accepted() error {
	for _, w := range p.watches {
		select {
		case <-w.accepted:
		case <-p.ctx.Done():
			return fmt.Errorf("wait until %s accepts: %w", w.request.URL.Host, context.Cause(p.ctx))
		}
	}
	return nil
}

// Refusal is how the Probe at one replica ended.
type Refusal struct {
	// At is when the first answer 401 was received.
	At time.Time
	// Accepted is how many answers before it were 200.
	Accepted int
	// LastAcceptedSent is when the last request was sent that was accepted.
	LastAcceptedSent time.Time
}

// Refused waits until each replica has refused its request, and says when that
// was, in the order of the requests.
func (p *Probe) Refused() ([]Refusal, error) {
	var refusals []Refusal
	for _, w := range p.watches {
		select {
		case <-w.refused:
			refusals = append(refusals, w.refusal)
		case <-p.ctx.Done():
			return nil, fmt.Errorf("wait until %s refuses: %w", w.request.URL.Host, context.Cause(p.ctx))
		}
	}
	return refusals, nil
}

// Stop ends what still runs.
func (p *Probe) Stop() {
	p.cancel(errors.New("the probe was stopped"))
	_ = p.running.Wait() // Who waits for an answer has its error.
}

func (w *watch) keep(ctx context.Context) error {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.request.URL.Host)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = connection.Close() })()
	defer func() { _ = connection.Close() }()
	answers := bufio.NewReader(connection)
	due := time.NewTicker(probeInterval)
	defer due.Stop()
	for ; ; <-due.C {
		sent := time.Now()
		status, err := send(connection, answers, w.request)
		switch {
		case err != nil:
			return err
		case status == http.StatusOK:
			w.refusal.LastAcceptedSent = sent
			if w.refusal.Accepted++; w.refusal.Accepted == 1 {
				close(w.accepted)
			}
		case status == http.StatusUnauthorized:
			w.refusal.At = time.Now()
			close(w.refused)
			return nil
		default:
			return fmt.Errorf("%s answered %d: neither accepted nor refused", w.request.URL, status)
		}
	}
}

// send returns the status of the whole answer. It is written and read by the
// goroutine that asks: an http.Transport has two more, whose turns would be measured.
func send(connection io.Writer, answers *bufio.Reader, request *http.Request) (int, error) {
	if err := request.Write(connection); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(answers, request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, errors.Join(err, response.Body.Close())
}
