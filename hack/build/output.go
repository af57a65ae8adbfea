// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"strings"
	"sync"
)

// maxTail bounds, in lines, what is kept for the error message of a failed build.
const maxTail = 20

// output reads the standard error of "go build -v": it counts the packages compiled and
// the modules downloaded, and keeps the last of all other lines.
type output struct {
	mu       sync.Mutex
	partial  string
	packages int
	modules  int
	tail     []string
}

func (o *output) Write(data []byte) (int, error) {
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

func (o *output) line(line string) {
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		o.modules++
	case line != "" && !strings.ContainsAny(line, " \t"):
		o.packages++
	default:
		if o.tail = append(o.tail, line); len(o.tail) > maxTail {
			o.tail = o.tail[1:]
		}
	}
}

// summary says how far the build is.
func (o *output) summary() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return fmt.Sprintf("%d packages compiled, %d modules downloaded", o.packages, o.modules)
}

// last returns the last lines, those of a failure among them.
func (o *output) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(strings.Join(append(o.tail, o.partial), "\n"))
}
