// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress tells a person what goes on, one whole line at a time, also when several goroutines speak.
type progress struct {
	mu  sync.Mutex
	out io.Writer
}

func newProgress(out io.Writer) *progress {
	if out == nil {
		out = io.Discard
	}
	return &progress{out: out}
}

// sayf prints a line. That it could not be printed is not worth failing for.
func (p *progress) sayf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.out, "controlplane: "+format+"\n", args...)
}

// during runs work and calls beat every interval until it has returned, so that silence always means something is wrong.
func during(interval time.Duration, beat func(elapsed time.Duration), work func() error) error {
	began := time.Now()
	done := make(chan struct{})
	var beats sync.WaitGroup
	beats.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-ticker.C:
				beat(now.Sub(began))
			}
		}
	})
	err := work()
	close(done)
	beats.Wait()
	return err
}

// seconds formats a duration for a progress line.
func seconds(d time.Duration) string {
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// maxTail bounds, in lines, what buildOutput keeps for the error message of a failed build.
const maxTail = 20

// buildOutput reads the standard error of "go build -v": it counts the packages compiled and the modules downloaded, and
// keeps the last lines.
type buildOutput struct {
	mu       sync.Mutex
	partial  string
	packages int
	modules  int
	tail     []string
}

func (o *buildOutput) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.partial += string(data)
	for {
		line, rest, ok := strings.Cut(o.partial, "\n")
		if !ok {
			return len(data), nil
		}
		o.partial = rest
		o.line(line)
	}
}

func (o *buildOutput) line(line string) {
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		o.modules++
	case line != "" && !strings.ContainsAny(line, " \t"):
		o.packages++
	}
	if o.tail = append(o.tail, line); len(o.tail) > maxTail {
		o.tail = o.tail[1:]
	}
}

// summary says how far the build is, for a heartbeat.
func (o *buildOutput) summary() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	summary := fmt.Sprintf("%d packages compiled", o.packages)
	if o.modules > 0 {
		summary += fmt.Sprintf(", %d modules downloaded", o.modules)
	}
	return summary
}

// last returns the last lines, those of a failure among them.
func (o *buildOutput) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(strings.Join(append(o.tail, o.partial), "\n"))
}
