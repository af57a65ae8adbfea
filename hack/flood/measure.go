// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hexcovery/apikey-operator/hack/stack"
)

const (
	keyHeader = "X-Api-Key"
	// The request that is asked about.
	askedMethod, askedTarget = http.MethodPost, "/v1/metrics"

	// perValid and perJunk are how many requests a second one connection sends, so
	// that none has to wait for the answer to the one before.
	perValid, perJunk = 25, 50
	// answerTimeout is what no answer may take.
	answerTimeout = 10 * time.Second
	// watchPeriod is how often memory is looked at.
	watchPeriod = 500 * time.Millisecond
)

// results are what was measured.
type results struct {
	// alone and flooded are the times of each phase, sorted; neighbours are a pair.
	alone, flooded [][]time.Duration
	junkPerSecond  float64
	// Memory in bytes; flood has the most of each phase.
	before float64
	flood  []float64
}

// flood is a measurement under way.
type flood struct {
	server *stack.AuthServer
	key    string
	opts   options
	junk   atomic.Int64
}

func measure(ctx context.Context, server *stack.AuthServer, key string, opts options) (r results, err error) {
	f := &flood{server: server, key: key, opts: opts}
	if _, err := f.phase(ctx, false); err != nil { // to warm up
		return r, err
	}
	if r.before, err = residentMemory(ctx, server); err != nil {
		return r, err
	}
	for i := range opts.phases {
		fmt.Fprintf(os.Stderr, "flood: phase %d of %d: alone, then flooded\n", i+1, opts.phases)
		alone, err := f.phase(ctx, false)
		if err != nil {
			return r, err
		}
		flooded, err := f.phase(ctx, true)
		if err != nil {
			return r, err
		}
		r.alone, r.flooded = append(r.alone, alone.times), append(r.flooded, flooded.times)
		r.flood = append(r.flood, flooded.memory)
	}
	r.junkPerSecond = float64(f.junk.Load()) / (opts.phase * time.Duration(opts.phases)).Seconds()
	return r, nil
}

// phase is one phase's times of valid requests, sorted, and the most memory meanwhile.
type phase struct {
	times  []time.Duration
	memory float64
}

func (f *flood) phase(ctx context.Context, flooded bool) (p phase, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.opts.phase)
	defer cancel()
	running, ctx := errgroup.WithContext(ctx)
	times := make([][]time.Duration, (f.opts.valid+perValid-1)/perValid)
	for i := range times {
		running.Go(func() (err error) {
			times[i], err = f.send(ctx, perValid, i, len(times), f.valid)
			return err
		})
	}
	if flooded {
		connections := (f.opts.valid*f.opts.times + perJunk - 1) / perJunk
		for i := range connections {
			running.Go(func() error {
				_, err := f.send(ctx, perJunk, i, connections, f.junkOf(&junk{sent: i}))
				return err
			})
		}
	}
	running.Go(func() (err error) {
		p.memory, err = mostMemory(ctx, f.server)
		return err
	})
	err = running.Wait()
	p.times = slices.Concat(times...)
	slices.Sort(p.times)
	return p, err
}

// send has a connection send perSecond requests a second until ctx is done. The
// connections of a kind take turns.
func (f *flood) send(ctx context.Context, perSecond, number, of int, ask func(*http.Client) error) (times []time.Duration, err error) {
	transport := &http.Transport{MaxConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: answerTimeout}
	interval := time.Second / time.Duration(perSecond)
	due := time.Now().Add(interval * time.Duration(number) / time.Duration(of))
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return times, nil
		case <-timer.C:
		}
		if err := ask(client); err != nil {
			return times, err
		}
		times = append(times, time.Since(due))
		due = due.Add(interval)
		timer.Reset(time.Until(due))
	}
}

func (f *flood) valid(client *http.Client) error {
	status, err := f.ask(client, func(http.Header) error { return nil })
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("a valid request was answered with %d", status)
	}
	return err
}

func (f *flood) junkOf(j *junk) func(*http.Client) error {
	return func(client *http.Client) error {
		var cut bool
		status, err := f.ask(client, func(header http.Header) (err error) {
			cut, err = j.spoil(header, f.key)
			return err
		})
		var broken *net.OpError
		switch {
		case cut && (errors.As(err, &broken) || errors.Is(err, io.EOF)): // hung up on
		case err != nil:
			return err
		case cut && status == http.StatusRequestHeaderFieldsTooLarge, !cut && status == http.StatusUnauthorized:
		default:
			return fmt.Errorf("junk was answered with %d", status)
		}
		f.junk.Add(1)
		return nil
	}
}

// ask sends one question. What has been sent is waited for also at the end.
func (f *flood) ask(client *http.Client, change func(http.Header) error) (status int, err error) {
	question, err := f.server.Question(context.Background(), askedMethod, askedTarget, f.key)
	if err != nil {
		return 0, err
	}
	if err := change(question.Header); err != nil {
		return 0, err
	}
	response, err := client.Do(question)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return 0, fmt.Errorf("read an answer: %w", err)
	}
	return response.StatusCode, nil
}
