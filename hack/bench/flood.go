// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sync/errgroup"

	"github.com/hexcovery/apikey-operator/hack/load"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

const (
	// perValid and perJunk are how many requests a second there is a connection for, so
	// that none has to wait for the answer to the one before.
	perValid, perJunk = 25, 50
	// answerTimeout is what no answer may take.
	answerTimeout = 10 * time.Second
	// looksPerSecond is how often memory is looked at.
	looksPerSecond = 2

	// mostRatio is how much longer valid requests may take beside the junk.
	mostRatio = 2
	// mostGrowth is by how many megabytes the last flood may need more than the first:
	// what a garbage collector leaves to chance, and not what 30,000 keys more take.
	mostGrowth = 8
)

var (
	floodFlags = flag.NewFlagSet("bench flood", flag.ExitOnError)

	validRate = floodFlags.Int("valid", 200, "how many valid requests are sent a second")
	junkTimes = floodFlags.Int("times", 10, "how many times as much junk there is")
	phases    = floodFlags.Int("phases", 12, "how many phases there are of either kind")
	phaseTime = floodFlags.Duration("phase", 5*time.Second, "how long a phase is")
)

// flood measures what junk does to valid requests.
func flood(ctx context.Context) error {
	if floodFlags.NArg() > 0 || *validRate < 1 || *junkTimes < 1 || *phases < 1 || *phaseTime < time.Second {
		return errors.New("everything is a flag, numbers are at least 1 and -phase at least 1s: see -help")
	}
	return withProduct(ctx, stack.Options{AuthServers: 1}, func(b *bench) error {
		key, _, err := b.mint(ctx, "flood")
		if err != nil {
			return err
		}
		v := &victim{server: b.product.AuthServers[0], key: key}
		warmup, err := v.endure(ctx, 0)
		if err != nil {
			return err
		}
		var alone, flooded []endured
		for i := range *phases {
			note("phase %d of %d: alone, then flooded", i+1, *phases)
			quiet, err := v.endure(ctx, 0)
			if err != nil {
				return err
			}
			loud, err := v.endure(ctx, *validRate**junkTimes)
			if err != nil {
				return err
			}
			alone, flooded = append(alone, quiet), append(flooded, loud)
		}
		return errors.Join(printFigures(floodFigures(warmup, alone, flooded))...)
	})
}

// floodFigures compares the 99th percentile of each phase of junk with that of the phase
// before it: what the machine does besides falls on both, or on few pairs.
func floodFigures(warmup endured, alone, flooded []endured) []figure {
	var quiet, loud load.Latencies
	ratios, junk := make([]float64, len(alone)), 0.0
	for i := range ratios {
		quiet, loud = append(quiet, alone[i].valid...), append(loud, flooded[i].valid...)
		ratios[i] = percentile(flooded[i].valid, 99) / percentile(alone[i].valid, 99)
		junk += flooded[i].junkPerSecond / float64(len(flooded))
	}
	slices.Sort(quiet)
	slices.Sort(loud)
	slices.Sort(ratios)
	median := (ratios[(len(ratios)-1)/2] + ratios[len(ratios)/2]) / 2
	first, last := flooded[0].memory, flooded[len(flooded)-1].memory
	return []figure{
		{name: "valid_alone_p50_ms", value: percentile(quiet, 50)},
		{name: "valid_alone_p99_ms", value: percentile(quiet, 99)},
		{name: "valid_flooded_p50_ms", value: percentile(loud, 50)},
		{name: "valid_flooded_p99_ms", value: percentile(loud, 99)},
		{name: "flooded_to_alone_p99", value: median, most: mostRatio},
		{name: "junk_per_s", value: junk},
		{name: "rss_before_mb", value: warmup.memory},
		{name: "rss_first_flood_mb", value: first},
		{name: "rss_last_flood_mb", value: last, most: first + mostGrowth},
	}
}

// victim is the auth server that is flooded.
type victim struct {
	server *stack.AuthServer
	// key is valid.
	key string
}

// endured is what one phase was like.
type endured struct {
	// valid are the latencies of valid requests.
	valid load.Latencies
	// junkPerSecond is how much junk was answered.
	junkPerSecond float64
	// memory is the most that the server had resident, in megabytes.
	memory float64
}

// endure has the server answer valid requests for one phase, and so much junk a second.
func (v *victim) endure(ctx context.Context, junkRate int) (e endured, err error) {
	running, ctx := errgroup.WithContext(ctx)
	running.Go(func() (err error) {
		e.valid, err = v.send(ctx, *validRate, perValid, intact)
		return err
	})
	running.Go(func() error {
		_, err := load.Load{PerSecond: looksPerSecond, Lasts: *phaseTime, AtOnce: 1, Send: func(int, time.Time) error {
			bytes, err := residentMemory(v.server.PID())
			e.memory = max(e.memory, float64(bytes)/(1<<20))
			return err
		}}.Run(ctx)
		return err
	})
	if junkRate > 0 {
		running.Go(func() error {
			began := time.Now()
			answered, err := v.send(ctx, junkRate, perJunk, spoil)
			e.junkPerSecond = float64(len(answered)) / time.Since(began).Seconds()
			return err
		})
	}
	err = running.Wait()
	return e, err
}

// send asks questions for one phase, over connections of their own.
func (v *victim) send(ctx context.Context, perSecond, perConnection int, q question) (load.Latencies, error) {
	connections := (perSecond + perConnection - 1) / perConnection
	client := &http.Client{Timeout: answerTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	return load.Load{PerSecond: perSecond, Lasts: *phaseTime, AtOnce: connections, Send: func(n int, _ time.Time) error {
		return v.ask(client, n, q)
	}}.Run(ctx)
}

// ask asks one question, and checks the answer. What has been sent is waited for also at
// the end.
func (v *victim) ask(client *http.Client, n int, prepare question) error {
	question, err := v.server.Question(context.Background(), http.MethodPost, "/v1/metrics", v.key)
	if err != nil {
		return err
	}
	want, err := prepare(question.Header, v.key, n)
	if err != nil {
		return err
	}
	response, err := client.Do(question)
	var broken *net.OpError
	switch {
	case want == http.StatusRequestHeaderFieldsTooLarge && (errors.As(err, &broken) || errors.Is(err, io.EOF)):
		return nil // The server has hung up before it has read the question.
	case err != nil:
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	if response.StatusCode != want {
		return fmt.Errorf("a request that was to be answered with %d was answered with %d", want, response.StatusCode)
	}
	return nil
}

// residentMemory is that of a process, in bytes. Only Linux tells.
func residentMemory(pid int) (int, error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	stat, err := process.Stat()
	return stat.ResidentMemory(), err
}
