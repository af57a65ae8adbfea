// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package recorder

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/felixge/httpsnoop"
)

// Signal is a kind of telemetry.
type Signal string

// The signals.
const (
	Traces  Signal = "traces"
	Metrics Signal = "metrics"
	Logs    Signal = "logs"
	Samples Signal = "samples"
)

// Stream is what one client sends of one signal.
type Stream struct {
	Client string
	Signal Signal
}

// Item is one span, log record, data point or sample.
type Item struct {
	Stream
	// Number counts the items of a stream, from 1 on.
	Number int64
}

// Sender is who the gateway said that a request is from.
type Sender struct {
	Organization, Key string
}

// Recorder is the back end. Its zero value is not usable; see New.
type Recorder struct {
	paths *http.ServeMux

	mu       sync.Mutex
	arrivals map[Stream]Tally
	faults   []string
	// changed is closed, and replaced, when something arrived.
	changed chan struct{}
}

// New returns a Recorder to which nothing has arrived. It is an http.Handler for
// HTTP/1.1 and HTTP/2.
func New() *Recorder {
	r := &Recorder{paths: http.NewServeMux(), arrivals: map[Stream]Tally{}, changed: make(chan struct{})}
	r.handleOTLP()
	r.paths.HandleFunc("POST "+RemoteWritePath, r.serveRemoteWrite)
	return r
}

// ServeHTTP takes in one request. What it does not understand it refuses, in a way that
// no client tries again, and that is a fault.
func (r *Recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	for _, name := range []string{"X-Api-Key", "Authorization"} {
		if len(request.Header[name]) > 0 {
			r.fault("%s %s came with a header %s", request.Method, request.URL.Path, name)
		}
	}
	sender, err := senderOf(request.Header)
	if request.ProtoMajor < 2 && strings.HasPrefix(request.Header.Get("Content-Type"), "application/grpc") {
		err = errors.New("gRPC over HTTP/1, which is none")
	}
	if err != nil {
		r.fault("%s %s: %v", request.Method, request.URL.Path, err)
		http.Error(w, "refused", http.StatusBadRequest)
		return
	}
	request = request.WithContext(context.WithValue(request.Context(), senderKey{}, sender))
	answer := httpsnoop.CaptureMetrics(r.paths, w, request)
	if answer.Code >= 400 && answer.Code < statusClientClosed {
		r.fault("%s %s is refused: %d %s", request.Method, request.URL.Path, answer.Code, http.StatusText(answer.Code))
	}
}

// statusClientClosed is connect's answer to a client that went away in the middle, which
// is no fault: what it did not send whole has not arrived.
const statusClientClosed = 499

// senderKey is where the context of a request holds its Sender.
type senderKey struct{}

// senderOf reads the headers that only the auth server's answer may set.
func senderOf(header http.Header) (Sender, error) {
	for _, name := range []string{"X-Scope-Orgid", "X-Api-Key-Id", "X-Api-Key-Name"} {
		if values := header[name]; len(values) != 1 || values[0] == "" {
			return Sender{}, fmt.Errorf("%d values of %s, want one that is not empty", len(values), name)
		}
	}
	return Sender{Organization: header.Get("X-Scope-Orgid"), Key: header.Get("X-Api-Key-Name")}, nil
}

// record writes down the items of one request, all at once.
func (r *Recorder) record(ctx context.Context, items []Item) {
	sender := ctx.Value(senderKey{}).(Sender)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, item := range items {
		if item.Client == "" || item.Number < 1 {
			r.faults = append(r.faults, fmt.Sprintf("without a number, or from nobody: %+v", item))
			continue
		}
		if r.arrivals[item.Stream] == nil {
			r.arrivals[item.Stream] = Tally{}
		}
		r.arrivals[item.Stream][item.Number] = append(r.arrivals[item.Stream][item.Number], sender)
	}
	close(r.changed) // wakes up who waits
	r.changed = make(chan struct{})
}

func (r *Recorder) fault(format string, values ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fmt.Sprintf(format, values...))
}

// Faults are what should not have arrived, in order.
func (r *Recorder) Faults() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.faults)
}

// Await waits until the condition holds for what has arrived from a stream: it is asked
// now, and whenever something has arrived.
func (r *Recorder) Await(ctx context.Context, stream Stream, condition func(Tally) bool) error {
	for {
		r.mu.Lock()
		tally, changed := maps.Clone(r.arrivals[stream]), r.changed
		r.mu.Unlock()
		if condition(tally) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s of %s: %w; arrived so far: %s", stream.Signal, stream.Client, context.Cause(ctx), tally)
		}
	}
}

// Tally returns what has arrived from a stream.
func (r *Recorder) Tally(stream Stream) Tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.arrivals[stream])
}
